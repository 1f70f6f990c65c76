//! The weights of leaves, in the form in which they are added up fastest.

use super::Aggregate;

/// The weights of a file.
pub(super) struct Found {
    /// The node, the target and the weight, by nodes.
    pub(super) weights: Vec<(u32, u32, f64)>,
    /// Whether all are of one target.
    pub(super) has_one_target: bool,
    /// Whether none is negative.
    pub(super) is_positive: bool,
}

/// The weights of leaves. Rows that reach a leaf get its label, which says where its weights are.
#[derive(Debug, PartialEq)]
pub(super) enum Weights {
    /// Every leaf of a tree has one weight, of this target. Labels are the bits of the weights,
    /// which lose nothing as floats of 32 bits.
    Floats(Vec<u32>),
    /// Every leaf of a tree has weights of these targets, in this order. Labels are the places of
    /// the first ones.
    Even { targets: Vec<Vec<u32>>, weights: Vec<f64> },
    /// Labels are the places of lists: where each begins, and one more.
    Lists { starts: Vec<u32>, weights: Vec<(u32, f64)> },
}

impl Weights {
    /// The weights `found`, sorted by nodes, of trees that begin with the nodes `firsts`, and the
    /// label of every node.
    pub(super) fn of(
        found: &[(u32, u32, f64)],
        firsts: &[usize],
        is_leaf: &[bool],
    ) -> (Self, Vec<u32>) {
        let mut starts = Vec::with_capacity(is_leaf.len() + 1);
        let mut rest = found;
        for node in 0..is_leaf.len() as u32 {
            starts.push((found.len() - rest.len()) as u32);
            let own = rest.partition_point(|(at, _, _)| *at <= node);
            rest = rest.get(own..).unwrap_or_default();
        }
        starts.push(found.len() as u32);
        let Some(targets) = even(found, firsts, is_leaf, &starts) else {
            let weights = found.iter().map(|(_, target, weight)| (*target, *weight)).collect();
            let labels = (0..is_leaf.len() as u32).collect();
            return (Self::Lists { starts, weights }, labels);
        };
        let weights: Vec<f64> = found.iter().map(|(_, _, weight)| *weight).collect();
        let one: Option<Vec<u32>> = targets
            .iter()
            .map(|targets| match targets.as_slice() {
                [target] => Some(*target),
                _ => None,
            })
            .collect();
        let is_exact = weights.iter().all(|x| f64::from(*x as f32).to_bits() == x.to_bits());
        match one {
            Some(targets) if is_exact => {
                let bits = |start: &u32| {
                    let weight = weights.get(*start as usize).copied().unwrap_or_default();
                    (weight as f32).to_bits()
                };
                (Self::Floats(targets), starts.iter().map(bits).collect())
            }
            _ => (Self::Even { targets, weights }, starts),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Floats(targets) => size_of_val(&**targets),
            Self::Even { targets, weights } => {
                let lists: usize = targets.iter().map(|targets| size_of_val(&**targets)).sum();
                lists + size_of_val(&**targets) + size_of_val(&**weights)
            }
            Self::Lists { starts, weights } => size_of_val(&**starts) + size_of_val(&**weights),
        }
    }
}

/// The targets of each tree, if all of its leaves have weights of the same.
fn even(
    found: &[(u32, u32, f64)],
    firsts: &[usize],
    is_leaf: &[bool],
    starts: &[u32],
) -> Option<Vec<Vec<u32>>> {
    let ends = firsts.iter().copied().skip(1).chain([is_leaf.len()]);
    let own = |node: usize| {
        let (start, end) = (*starts.get(node)? as usize, *starts.get(node + 1)? as usize);
        Some(found.get(start..end)?.iter().map(|(_, target, _)| *target))
    };
    let tree = |(first, end): (&usize, usize)| {
        let mut leaves = (*first..end).filter(|node| is_leaf.get(*node) == Some(&true)).map(own);
        let targets: Vec<u32> = leaves.next()??.collect();
        let mut same = leaves.map(|own| own.is_some_and(|own| own.eq(targets.iter().copied())));
        (!targets.is_empty() && same.all(|same| same)).then_some(targets)
    };
    firsts.iter().zip(ends).map(tree).collect()
}

/// One more weight of a sum that has some if `seen`.
pub(super) fn add(sum: &mut f64, weight: f64, aggregate: Aggregate, seen: bool) {
    *sum = match aggregate {
        Aggregate::Min if seen => sum.min(weight),
        Aggregate::Max if seen => sum.max(weight),
        Aggregate::Min | Aggregate::Max => weight,
        Aggregate::Sum | Aggregate::Average => *sum + weight,
    };
}

#[cfg(test)]
mod tests;

//! TreeEnsemble of `ai.onnx.ml` 5: the same trees with leaves in lists of their own.
//!
//! Branches are named by their places, leaves by places of their own, and a node may ask for one of
//! several values. It becomes lists as the older operators have: each way to a leaf gets a leaf, and
//! a question for several values becomes one for each, all with the same node behind them.

use std::borrow::Cow;

use super::lists::{Leaves, Lists};
use crate::engine::onnx::error::Refused;
use crate::engine::onnx::ops::Site;

/// Modes by number; after them comes the question for several values.
const MODES: [&[u8]; 6] =
    [b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ"];
const MEMBER: i64 = 6;

/// The attributes, each list of branches of one length, and each of leaves.
struct Attributes<'a> {
    features: &'a [i64],
    modes: Vec<i64>,
    splits: Vec<f64>,
    yes: Sides<'a>,
    no: Sides<'a>,
    missing: &'a [i64],
    targets: &'a [i64],
    weights: Vec<f64>,
    /// The values that each branch asks for.
    members: Vec<Vec<f64>>,
}

/// Where branches lead, and whether to a leaf.
struct Sides<'a> {
    nodes: &'a [i64],
    are_leaves: &'a [i64],
}

impl<'a> Attributes<'a> {
    fn of(site: &Site<'a>) -> Result<Self, Refused> {
        let numbers = |name: &str| -> Result<Vec<f64>, Refused> {
            Ok(site.tensor(name)?.map(|tensor| tensor.data.to_f64()).unwrap_or_default())
        };
        let sides = |side: &str| Sides {
            nodes: site.ints(&format!("nodes_{side}nodeids")),
            are_leaves: site.ints(&format!("nodes_{side}leafs")),
        };
        let modes: Vec<i64> = numbers("nodes_modes")?.into_iter().map(|mode| mode as i64).collect();
        let made = Self {
            features: site.ints("nodes_featureids"),
            splits: numbers("nodes_splits")?,
            yes: sides("true"),
            no: sides("false"),
            missing: site.ints("nodes_missing_value_tracks_true"),
            targets: site.ints("leaf_targetids"),
            weights: numbers("leaf_weights")?,
            members: members(&modes, &numbers("membership_values")?)?,
            modes,
        };
        let len = made.features.len();
        let lengths = [
            made.modes.len(),
            made.splits.len(),
            made.yes.nodes.len(),
            made.yes.are_leaves.len(),
            made.no.nodes.len(),
            made.no.are_leaves.len(),
        ];
        let is_fine = lengths == [len; 6] && (made.missing.is_empty() || made.missing.len() == len);
        if !is_fine || made.targets.len() != made.weights.len() {
            return Err(
                format!("its lists of {len} branches or of leaves have several lengths").into()
            );
        }
        Ok(made)
    }
}

/// The values that each branch of `modes` asks for: `values` has those of one after the other, with
/// NaN between them.
fn members(modes: &[i64], values: &[f64]) -> Result<Vec<Vec<f64>>, Refused> {
    let mut sets = values.split(|value| value.is_nan());
    let set = |mode: &i64| {
        if *mode != MEMBER {
            return Ok(Vec::new());
        }
        let set = sets.next().filter(|set| !set.is_empty());
        set.map(<[f64]>::to_vec).ok_or_else(|| "a branch asks for one of no values".into())
    };
    modes.iter().map(set).collect()
}

/// The lists of a TreeEnsemble.
pub(super) fn lists<'a>(site: &Site<'a>) -> Result<Lists<'a>, Refused> {
    let attributes = Attributes::of(site)?;
    let mut made = Made::default();
    // The tree and the number of each branch that was met, and those whose turn comes.
    let mut known: Vec<Option<(usize, i64)>> = vec![None; attributes.features.len()];
    for (tree, root) in site.ints("tree_roots").iter().enumerate() {
        let mut next = Vec::new();
        made.meet(tree, *root, &mut known, &mut next)?;
        while let Some(branch) = next.pop() {
            let yes =
                made.child(tree, branch, &attributes, &attributes.yes, &mut known, &mut next)?;
            let no =
                made.child(tree, branch, &attributes, &attributes.no, &mut known, &mut next)?;
            let own = known.get(branch).copied().flatten().map_or(0, |(_, number)| number);
            made.branch(tree, branch, own, (yes, no), &attributes)?;
        }
        made.end(tree);
    }
    made.into_lists()
}

/// Lists while they are made.
#[derive(Default)]
struct Made {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<&'static [u8]>,
    values: Vec<f64>,
    yes: Vec<i64>,
    no: Vec<i64>,
    missing: Vec<i64>,
    of_leaves: [Vec<i64>; 3],
    weights: Vec<f64>,
    /// The number of the next node of the tree.
    fresh: i64,
    /// Its leaves, which come after its branches: the first node is the root.
    leaves: Vec<i64>,
}

impl Made {
    /// Ends a tree.
    fn end(&mut self, tree: usize) {
        for leaf in std::mem::take(&mut self.leaves) {
            self.node(tree, leaf, 0, b"LEAF", 0.0, (0, 0), 0);
        }
        self.fresh = 0;
    }

    fn fresh(&mut self) -> i64 {
        self.fresh += 1;
        self.fresh - 1
    }

    /// The number of branch `place` in `tree`, whose turn comes if it is met for the first time.
    fn meet(
        &mut self,
        tree: usize,
        place: i64,
        known: &mut [Option<(usize, i64)>],
        next: &mut Vec<usize>,
    ) -> Result<i64, Refused> {
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(known) = known.get_mut(at) else {
            return Err(format!("tree {tree} leads to branch {place}, which there is not").into());
        };
        match *known {
            Some((own, number)) if own == tree => Ok(number),
            Some((other, _)) => {
                Err(format!("branch {place} is in tree {other} and in tree {tree}").into())
            }
            None => {
                let number = self.fresh();
                *known = Some((tree, number));
                next.push(at);
                Ok(number)
            }
        }
    }

    /// The number of the node that `branch` leads to on a side.
    fn child(
        &mut self,
        tree: usize,
        branch: usize,
        attributes: &Attributes<'_>,
        side: &Sides<'_>,
        known: &mut [Option<(usize, i64)>],
        next: &mut Vec<usize>,
    ) -> Result<i64, Refused> {
        let place = side.nodes.get(branch).copied().unwrap_or(-1);
        if side.are_leaves.get(branch) == Some(&0) {
            return self.meet(tree, place, known, next);
        }
        let at = usize::try_from(place).unwrap_or(usize::MAX);
        let leaf = attributes.targets.get(at).zip(attributes.weights.get(at));
        let Some((target, weight)) = leaf else {
            return Err(format!("branch {branch} leads to leaf {place}, which there is not").into());
        };
        let number = self.fresh();
        self.leaves.push(number);
        let facts = [tree as i64, number, *target];
        self.of_leaves.iter_mut().zip(facts).for_each(|(list, fact)| list.push(fact));
        self.weights.push(*weight);
        Ok(number)
    }

    /// Adds branch `branch` as node `own`.
    fn branch(
        &mut self,
        tree: usize,
        branch: usize,
        own: i64,
        (yes, no): (i64, i64),
        attributes: &Attributes<'_>,
    ) -> Result<(), Refused> {
        let feature = attributes.features.get(branch).copied().unwrap_or_default();
        let missing = attributes.missing.get(branch).copied().unwrap_or_default();
        let mode = attributes.modes.get(branch).copied().unwrap_or_default();
        let members = attributes.members.get(branch).map_or(&[][..], Vec::as_slice);
        let Some((last, first)) = members.split_last() else {
            let known = usize::try_from(mode).ok().and_then(|mode| MODES.get(mode));
            let Some(mode) = known else {
                return Err(format!("branch {branch} has mode {mode}, which is not known").into());
            };
            let split = attributes.splits.get(branch).copied().unwrap_or_default();
            self.node(tree, own, feature, mode, split, (yes, no), missing);
            return Ok(());
        };
        let mut own = own;
        for member in first {
            let other = self.fresh();
            self.node(tree, own, feature, b"BRANCH_EQ", *member, (yes, other), missing);
            own = other;
        }
        self.node(tree, own, feature, b"BRANCH_EQ", *last, (yes, no), missing);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a node is that many lists")]
    fn node(
        &mut self,
        tree: usize,
        node: i64,
        feature: i64,
        mode: &'static [u8],
        value: f64,
        (yes, no): (i64, i64),
        missing: i64,
    ) {
        self.trees.push(tree as i64);
        self.nodes.push(node);
        self.features.push(feature);
        self.modes.push(mode);
        self.values.push(value);
        self.yes.push(yes);
        self.no.push(no);
        self.missing.push(missing);
    }

    fn into_lists<'a>(self) -> Result<Lists<'a>, Refused> {
        let [trees, nodes, ids] = self.of_leaves.map(Cow::Owned);
        let weights = Leaves { what: "target", trees, nodes, ids, weights: self.weights };
        let lists = Lists {
            trees: self.trees.into(),
            nodes: self.nodes.into(),
            features: self.features.into(),
            modes: Cow::Owned(self.modes),
            values: self.values,
            yes: self.yes.into(),
            no: self.no.into(),
            missing: self.missing.into(),
            weights,
        };
        lists.check()?;
        Ok(lists)
    }
}

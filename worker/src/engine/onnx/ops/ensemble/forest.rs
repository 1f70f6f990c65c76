//! From the lists of attributes to trees that rows go down.

use nightshift_kernels::Isa;
use nightshift_kernels::trees::{COLUMNS_MAX, Compare, Nodes, Number, Trees};

use super::lists::{Leaves, Lists, NOWHERE, Sorted};
use super::weights::{Found, Weights};

use crate::engine::onnx::TREE_DEPTH_MAX;
use crate::engine::onnx::error::Refused;

/// Heights that are not known yet, and those of nodes on the way to the one that is looked at.
const UNKNOWN: u32 = u32::MAX;
const BEGUN: u32 = u32::MAX - 1;

/// Trees and the weights of their leaves.
pub(super) struct Forest<T> {
    pub(super) trees: Trees<T>,
    pub(super) weights: Weights,
    /// Whether all weights are of one target.
    pub(super) has_one_target: bool,
    /// Whether no weight is negative.
    pub(super) is_positive: bool,
    /// Whether a node says that missing values go where true ones go.
    pub(super) has_missing_rule: bool,
    /// Steps of a row at most.
    pub(super) work: usize,
}

/// A number of a forest.
pub(super) trait Threshold: Number {
    fn of(threshold: f64) -> Self;
    fn is_usable(self) -> bool;
}

impl Threshold for f32 {
    fn of(threshold: f64) -> Self {
        threshold as f32
    }

    fn is_usable(self) -> bool {
        !self.is_nan()
    }
}

impl Threshold for f64 {
    fn of(threshold: f64) -> Self {
        threshold
    }

    fn is_usable(self) -> bool {
        !self.is_nan()
    }
}

impl<T: Threshold> Forest<T> {
    /// The forest of `lists` whose leaves have weights of `targets` targets, over rows of `width`
    /// numbers.
    pub(super) fn of(lists: &Lists<'_>, targets: usize, width: usize) -> Result<Self, Refused> {
        let sorted = Sorted::of(lists)?;
        let children = children(lists, &sorted, width)?;
        let mut planted = Planted::default();
        // The place of each node of the lists among those of the trees.
        let mut places = vec![NOWHERE; lists.trees.len()];
        let mut heights = vec![UNKNOWN; lists.trees.len()];
        for nodes in sorted.trees(lists) {
            // The root is the first that the file lists.
            let root = nodes.iter().copied().min().unwrap_or_default();
            planted.plant(lists, &children, root, &mut places, &mut heights)?;
        }
        let Planted { nodes, firsts, work } = planted;
        let Found { weights, has_one_target, is_positive } =
            found(lists, targets, &sorted, &places)?;
        let is_leaf = leaves(lists, &places, nodes.count());
        let (weights, labels) = Weights::of(&weights, &firsts, &is_leaf);
        let label = |node: usize| labels.get(node).copied().unwrap_or_default();
        let trees = Trees::of(Isa::detect(), &nodes, label);
        let has_missing_rule = lists.has_missing_rule();
        Ok(Self { trees, weights, has_one_target, is_positive, has_missing_rule, work })
    }

    pub(super) fn bytes(&self) -> usize {
        self.trees.bytes() + self.weights.bytes()
    }
}

/// Trees while they are written down.
struct Planted<T> {
    nodes: Nodes<T>,
    /// The first node of each tree.
    firsts: Vec<usize>,
    work: usize,
}

impl<T> Default for Planted<T> {
    fn default() -> Self {
        Self { nodes: Nodes::default(), firsts: Vec::new(), work: 0 }
    }
}

impl<T: Threshold> Planted<T> {
    /// Adds the tree at `root`, level by level.
    fn plant(
        &mut self,
        lists: &Lists<'_>,
        children: &[Option<(u32, u32)>],
        root: u32,
        places: &mut [u32],
        heights: &mut [u32],
    ) -> Result<(), Refused> {
        let depth = height(lists, children, root, heights)? as usize;
        if depth > TREE_DEPTH_MAX {
            let shown = lists.shown(root as usize);
            return Err(format!("{shown} is more than {TREE_DEPTH_MAX} steps from a leaf").into());
        }
        self.nodes.begin(depth);
        self.work += depth + 1;
        self.firsts.push(self.nodes.count());
        let first = self.nodes.count() as u32;
        let mut order = vec![root];
        let mut at = 0;
        let mut place = |node: u32, order: &mut Vec<u32>| match places.get_mut(node as usize) {
            Some(place) if *place == NOWHERE => {
                *place = first + order.len() as u32;
                order.push(node);
                *place - first
            }
            Some(place) => *place - first,
            None => 0,
        };
        order.clear();
        place(root, &mut order);
        while let Some(node) = order.get(at).copied() {
            at += 1;
            match children.get(node as usize) {
                Some(Some((yes, no))) => {
                    let (yes, no) = (place(*yes, &mut order), place(*no, &mut order));
                    self.branch(lists, node as usize, yes, no)?;
                }
                _ => self.nodes.leaf(),
            }
        }
        Ok(())
    }

    /// Adds a branch as a comparison that leads to the left.
    fn branch(&mut self, lists: &Lists<'_>, at: usize, yes: u32, no: u32) -> Result<(), Refused> {
        let threshold = T::of(lists.values.get(at).copied().unwrap_or_default());
        if !threshold.is_usable() {
            return Err(format!("{} compares with NaN", lists.shown(at)).into());
        }
        let column = lists.features.get(at).map_or(0, |feature| *feature as u32);
        let missing = lists.missing.get(at).is_some_and(|missing| *missing != 0);
        let mode = lists.modes.get(at).copied().unwrap_or_default();
        let (compare, threshold, missing_left, next) = match mode {
            b"BRANCH_LEQ" => (Compare::AtMost, threshold, missing, (yes, no)),
            b"BRANCH_LT" => (Compare::AtMost, threshold.below(), missing, (yes, no)),
            b"BRANCH_EQ" => (Compare::Equal, threshold, missing, (yes, no)),
            // Swapped: what is not left is true, and NaN is false unless it says otherwise.
            b"BRANCH_GT" => (Compare::AtMost, threshold, !missing, (no, yes)),
            b"BRANCH_GTE" => (Compare::AtMost, threshold.below(), !missing, (no, yes)),
            // NaN is not the threshold.
            _ => (Compare::Equal, threshold, false, (no, yes)),
        };
        self.nodes.branch(column, compare, threshold, missing_left, next);
        Ok(())
    }
}

/// The weights of leaves.
fn found(
    lists: &Lists<'_>,
    targets: usize,
    sorted: &Sorted,
    places: &[u32],
) -> Result<Found, Refused> {
    let Leaves { what, trees, nodes, ids, weights } = &lists.weights;
    let mut found =
        Found { weights: Vec::with_capacity(trees.len()), has_one_target: true, is_positive: true };
    let keys = trees.iter().copied().zip(nodes.iter().copied());
    for (key, (id, weight)) in keys.zip(ids.iter().zip(weights)) {
        let (tree, node) = key;
        let at = sorted.find(lists, key).ok_or_else(|| {
            Refused(format!("a weight is for node {node} of tree {tree}, which there is not"))
        })?;
        let is_leaf = lists.is_leaf(at);
        let target = usize::try_from(*id).ok().filter(|id| *id < targets);
        let (Some(target), true) = (target, is_leaf) else {
            return Err(
                format!("a weight of {} is for no leaf or no {what}", lists.shown(at)).into()
            );
        };
        if !weight.is_finite() {
            return Err(format!("a weight of {} is {weight}", lists.shown(at)).into());
        }
        found.has_one_target &= ids.first() == Some(id);
        found.is_positive &= *weight >= 0.0;
        let place = places.get(at).copied().unwrap_or(NOWHERE);
        if place != NOWHERE {
            found.weights.push((place, target as u32, *weight));
        }
    }
    // A stable sort: weights of one leaf stay in their order.
    found.weights.sort_by_key(|(place, _, _)| *place);
    Ok(found)
}

/// Which of `count` nodes are leaves.
fn leaves(lists: &Lists<'_>, places: &[u32], count: usize) -> Vec<bool> {
    let mut is_leaf = vec![false; count];
    for (_, place) in places.iter().enumerate().filter(|(at, _)| lists.is_leaf(*at)) {
        is_leaf.iter_mut().skip(*place as usize).take(1).for_each(|it| *it = true);
    }
    is_leaf
}

/// Steps from the node at `root` to the leaf that is farthest from it; `heights` is what is known
/// already. A node may have several parents, but none may lead back to one of them.
fn height(
    lists: &Lists<'_>,
    children: &[Option<(u32, u32)>],
    root: u32,
    heights: &mut [u32],
) -> Result<u32, Refused> {
    let mut path = vec![root];
    while let Some(at) = path.last().copied() {
        let known = heights.get(at as usize).copied().unwrap_or(0);
        let Some(Some((yes, no))) = children.get(at as usize) else {
            heights.iter_mut().skip(at as usize).take(1).for_each(|height| *height = 0);
            path.pop();
            continue;
        };
        let of = |child: &u32| heights.get(*child as usize).copied().unwrap_or(0);
        let own = (of(yes), of(no));
        if known == BEGUN || own.0 < BEGUN && own.1 < BEGUN {
            // Its children are done: all that they lead to was looked at since it was begun.
            if own.0 >= BEGUN || own.1 >= BEGUN {
                return Err(format!("{} leads back to itself", lists.shown(at as usize)).into());
            }
            let height = 1 + own.0.max(own.1);
            heights.iter_mut().skip(at as usize).take(1).for_each(|it| *it = height);
            path.pop();
            continue;
        }
        if known < BEGUN {
            path.pop();
            continue;
        }
        heights.iter_mut().skip(at as usize).take(1).for_each(|it| *it = BEGUN);
        for child in [yes, no] {
            match heights.get(*child as usize).copied() {
                Some(BEGUN) => {
                    let shown = lists.shown(*child as usize);
                    return Err(format!("{shown} leads back to itself").into());
                }
                Some(UNKNOWN) => path.push(*child),
                _ => {}
            }
        }
    }
    Ok(heights.get(root as usize).copied().unwrap_or(0))
}

/// The children of each node, none of a leaf.
fn children(
    lists: &Lists<'_>,
    sorted: &Sorted,
    width: usize,
) -> Result<Vec<Option<(u32, u32)>>, Refused> {
    let mut children = Vec::with_capacity(lists.trees.len());
    let features = lists.features.iter();
    let nodes = lists.modes.iter().zip(features).zip(lists.yes.iter().zip(lists.no.iter()));
    for (at, ((mode, feature), (yes, no))) in nodes.enumerate() {
        match *mode {
            b"LEAF" => {
                children.push(None);
                continue;
            }
            b"BRANCH_LEQ" | b"BRANCH_LT" | b"BRANCH_GTE" | b"BRANCH_GT" | b"BRANCH_EQ"
            | b"BRANCH_NEQ" => {}
            _ => return Err(format!("{} has a mode that is not known", lists.shown(at)).into()),
        }
        if usize::try_from(*feature).map_or(true, |feature| feature >= width.min(COLUMNS_MAX)) {
            let shown = lists.shown(at);
            return Err(format!("{shown} compares column {feature} of {width}").into());
        }
        let (tree, _) = lists.key(at);
        let child = |node: i64| {
            let at = sorted.find(lists, (tree, node)).ok_or_else(|| {
                Refused(format!("{} leads to node {node}, which there is not", lists.shown(at)))
            })?;
            Ok::<_, Refused>(at as u32)
        };
        children.push(Some((child(*yes)?, child(*no)?)));
    }
    Ok(children)
}

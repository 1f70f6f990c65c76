//! Nodes and weights as lists, which the attributes of TreeEnsembleClassifier and
//! TreeEnsembleRegressor are, and those of TreeEnsemble become.

use std::borrow::Cow;

use crate::engine::onnx::error::Refused;
use crate::engine::onnx::ops::Site;

/// Most nodes, and where a node is that no root leads to.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Lists of the facts about nodes, all of one length.
pub(super) struct Lists<'a> {
    pub(super) trees: Cow<'a, [i64]>,
    pub(super) nodes: Cow<'a, [i64]>,
    pub(super) features: Cow<'a, [i64]>,
    pub(super) modes: Cow<'a, [&'a [u8]]>,
    pub(super) values: Vec<f64>,
    pub(super) yes: Cow<'a, [i64]>,
    pub(super) no: Cow<'a, [i64]>,
    /// Whether a missing value goes where true ones go; empty if none does.
    pub(super) missing: Cow<'a, [i64]>,
    pub(super) weights: Leaves<'a>,
}

/// Lists of the weights of leaves, all of one length.
pub(super) struct Leaves<'a> {
    /// `class` or `target`, for messages.
    pub(super) what: &'a str,
    pub(super) trees: Cow<'a, [i64]>,
    pub(super) nodes: Cow<'a, [i64]>,
    pub(super) ids: Cow<'a, [i64]>,
    pub(super) weights: Vec<f64>,
}

impl<'a> Lists<'a> {
    /// Those of a node whose leaves have weights in the attributes that begin with `what`.
    pub(super) fn of(site: &Site<'a>, what: &'a str) -> Result<Self, Refused> {
        let floats = |name: &str| -> Result<Vec<f64>, Refused> {
            Ok(match site.tensor(&format!("{name}_as_tensor"))? {
                Some(tensor) => tensor.data.to_f64(),
                None => site.floats(name).iter().copied().map(f64::from).collect(),
            })
        };
        let ints = |name: &str| Cow::Borrowed(site.ints(&format!("nodes_{name}")));
        let own = |part: &str| Cow::Borrowed(site.ints(&format!("{what}_{part}")));
        let weights = Leaves {
            what,
            trees: own("treeids"),
            nodes: own("nodeids"),
            ids: own("ids"),
            weights: floats(&format!("{what}_weights"))?,
        };
        let lists = Self {
            trees: ints("treeids"),
            nodes: ints("nodeids"),
            features: ints("featureids"),
            modes: Cow::Borrowed(site.texts("nodes_modes")),
            values: floats("nodes_values")?,
            yes: ints("truenodeids"),
            no: ints("falsenodeids"),
            missing: ints("missing_value_tracks_true"),
            weights,
        };
        lists.check()?;
        Ok(lists)
    }

    pub(super) fn check(&self) -> Result<(), Refused> {
        let lengths = [
            self.nodes.len(),
            self.features.len(),
            self.modes.len(),
            self.values.len(),
            self.yes.len(),
            self.no.len(),
        ];
        let len = self.trees.len();
        if lengths != [len; 6] || !(self.missing.is_empty() || self.missing.len() == len) {
            return Err(format!("its lists of {len} nodes have several lengths").into());
        }
        if len == 0 || len >= NOWHERE as usize {
            return Err("it has no nodes, or too many".into());
        }
        let Leaves { what, trees, nodes, ids, weights } = &self.weights;
        if [nodes.len(), ids.len(), weights.len()] != [trees.len(); 3] || trees.is_empty() {
            return Err(
                format!("its lists of {what} weights are empty or of several lengths").into()
            );
        }
        Ok(())
    }

    /// Tree and number of the node at `at`.
    pub(super) fn key(&self, at: usize) -> (i64, i64) {
        let of = |list: &[i64]| list.get(at).copied().unwrap_or_default();
        (of(&self.trees), of(&self.nodes))
    }

    pub(super) fn shown(&self, at: usize) -> String {
        let (tree, node) = self.key(at);
        format!("node {node} of tree {tree}")
    }

    /// Whether the node at `at` is a leaf.
    pub(super) fn is_leaf(&self, at: usize) -> bool {
        self.modes.get(at).copied() == Some(b"LEAF")
    }

    /// Whether any node says that missing values go where true ones go.
    pub(super) fn has_missing_rule(&self) -> bool {
        self.missing.iter().any(|missing| *missing != 0)
    }
}

/// The nodes in order of tree and number.
pub(super) struct Sorted {
    order: Vec<u32>,
}

impl Sorted {
    pub(super) fn of(lists: &Lists<'_>) -> Result<Self, Refused> {
        let mut order: Vec<u32> = (0..lists.trees.len() as u32).collect();
        order.sort_unstable_by_key(|at| lists.key(*at as usize));
        let twice = order.windows(2).find_map(|pair| match pair {
            [a, b] if lists.key(*a as usize) == lists.key(*b as usize) => Some(*a as usize),
            _ => None,
        });
        match twice {
            Some(at) => Err(format!("{} is there twice", lists.shown(at)).into()),
            None => Ok(Self { order }),
        }
    }

    /// Where in the lists the node `key` is.
    pub(super) fn find(&self, lists: &Lists<'_>, key: (i64, i64)) -> Option<usize> {
        let place = self.order.binary_search_by_key(&key, |at| lists.key(*at as usize)).ok()?;
        self.order.get(place).map(|at| *at as usize)
    }

    /// The nodes of each tree, in order of trees.
    pub(super) fn trees<'a>(&'a self, lists: &'a Lists<'_>) -> impl Iterator<Item = &'a [u32]> {
        self.order.chunk_by(|a, b| lists.key(*a as usize).0 == lists.key(*b as usize).0)
    }
}

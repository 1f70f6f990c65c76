//! Large trees in nodes of 8 bytes, which one instruction fetches for many rows.

use std::ops::Range;

use super::nodes::Node;
use super::tile::{TILE, Tile};
use super::{Number, Trees};
use crate::simd::Isa;

/// Bits of a node that say where its left child is; the right one is the next.
pub(super) const CHILD_BITS: u32 = 20;
/// Bits that say which column it compares. Above them is whether missing values go left.
pub(super) const COLUMN_BITS: u32 = 11;

/// Whether there are instructions for such trees.
pub(super) fn is_for(isa: Isa) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = isa.avx512().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// Trees of such nodes.
#[derive(Debug, Default)]
pub(super) struct Packed {
    nodes: Vec<Slim>,
    labels: Vec<u32>,
}

/// A node: the bits of its threshold, and its child, column and rule for missing values.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Slim {
    threshold: u32,
    rest: u32,
}

impl Slim {
    /// A leaf, being node `at`: whatever is compared goes to the left, to itself.
    fn leaf(at: u32) -> Self {
        Self { threshold: f32::INFINITY.to_bits(), rest: 1 << 31 | at }
    }
}

/// A tree of such nodes, made here alone: children and the nodes beside them are among `nodes`,
/// columns are below `columns`, and there are as many labels as nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    nodes: &'a [Slim],
    labels: &'a [u32],
    columns: usize,
}

impl<'a> View<'a> {
    /// Nodes, labels and how many columns there are.
    pub(super) fn parts(self) -> (&'a [Slim], &'a [u32], usize) {
        (self.nodes, self.labels, self.columns)
    }
}

impl Packed {
    /// Adds the tree of `nodes`, if it can be packed: over floats of 32 bits, none of which are
    /// compared for equality, and with children beside each other.
    pub(super) fn plant<T: Number>(
        &mut self,
        nodes: &[Node<T>],
        label: impl Fn(usize) -> u32,
    ) -> Option<Range<usize>> {
        // One more is put at the end.
        if nodes.is_empty() || nodes.len() >= 1 << CHILD_BITS {
            return None;
        }
        let mut slim = Vec::with_capacity(nodes.len() + 1);
        for (at, node) in nodes.iter().enumerate() {
            if node.is_leaf(at) {
                slim.push(Slim::leaf(at as u32));
                continue;
            }
            let is_near = node.left.checked_add(1) == Some(node.right);
            let fits = (node.right as usize) < nodes.len() && node.column() < 1 << COLUMN_BITS;
            if node.is_equal() || !is_near || !fits {
                return None;
            }
            let missing = u32::from(node.is_missing_left()) << 31;
            let column = (node.column() as u32) << CHILD_BITS;
            let threshold = node.threshold.bits()?;
            slim.push(Slim { threshold, rest: missing | column | node.left });
        }
        // So that the node beside every child is there.
        slim.push(Slim::leaf(nodes.len() as u32));
        let first = self.nodes.len();
        self.nodes.extend(slim);
        self.labels.extend((0..nodes.len()).map(label).chain([0]));
        Some(first..self.nodes.len())
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.labels)
    }
}

/// Sends the rows of `tile` down the tree of `nodes`, whose longest path has `depth` steps.
pub(super) fn descend<T: Number>(
    trees: &Trees<T>,
    nodes: Range<usize>,
    depth: usize,
    tile: &Tile<T>,
    reached: &mut [u32; TILE],
) {
    #[cfg(target_arch = "x86_64")]
    if let (Some(simd), Some((trees, tile))) = (trees.isa.avx512(), T::as_floats(trees, tile)) {
        let view = View {
            nodes: trees.packed.nodes.get(nodes.clone()).unwrap_or_default(),
            labels: trees.packed.labels.get(nodes).unwrap_or_default(),
            columns: trees.columns.len(),
        };
        super::x86::descend(simd, view, depth, tile, reached);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (trees, nodes, depth, tile, reached);
}

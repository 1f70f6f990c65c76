//! Decision trees: from rows of numbers to the leaf of each.
//!
//! [`Nodes`] are trees as they are written down, [`Trees`] as rows go through them, 128 rows of a
//! [`Tile`] at a time. A tree is evaluated in one of three ways:
//!
//! - `masks`: every comparison of a small tree is made for the whole tile, and strikes the leaves
//!   that it rules out. Nothing is looked up and nothing waits for what came before.
//! - `packed`: rows go down a large tree side by side, and a node of 8 bytes is fetched for 16 of
//!   them at once.
//! - `walk`: the same, row by row, for what the others have no room or no instructions for.
//!
//! A row ends in the same leaf in every way, whatever rows are beside it.

use std::ops::Range;

use crate::simd::{Isa, Kernel, Simd};

mod masks;
mod nodes;
mod packed;
mod tile;
mod walk;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use nodes::{COLUMNS_MAX, Compare, Nodes};
pub use tile::{Lanes, TILE, Tile};

use masks::Masks;
use nodes::Node;
use packed::Packed;

/// Bytes of trees from which on each is given many tiles before the next is fetched: half of what
/// a core keeps close to itself.
const CLOSE_BYTES: usize = 1 << 20;

/// A number that rows are made of.
pub trait Number: Copy + PartialOrd + Default + Send + Sync + std::fmt::Debug + 'static {
    /// A missing value: not a number.
    const MISSING: Self;

    /// The largest number below this one; itself where there is none.
    fn below(self) -> Self;

    /// Whether it is not a number.
    fn is_missing(self) -> bool;

    /// The bits of a float of 32 bits; none of any other number.
    fn bits(self) -> Option<u32>;

    /// Trees and a tile as those of floats of 32 bits, where they are.
    fn as_floats<'a>(
        trees: &'a Trees<Self>,
        tile: &'a Tile<Self>,
    ) -> Option<(&'a Trees<f32>, &'a Tile<f32>)>;
}

impl Number for f32 {
    const MISSING: Self = Self::NAN;

    #[inline]
    fn below(self) -> Self {
        self.next_down()
    }

    #[inline]
    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn bits(self) -> Option<u32> {
        Some(self.to_bits())
    }

    fn as_floats<'a>(
        trees: &'a Trees<Self>,
        tile: &'a Tile<Self>,
    ) -> Option<(&'a Trees<f32>, &'a Tile<f32>)> {
        Some((trees, tile))
    }
}

impl Number for f64 {
    const MISSING: Self = Self::NAN;

    #[inline]
    fn below(self) -> Self {
        self.next_down()
    }

    #[inline]
    fn is_missing(self) -> bool {
        self.is_nan()
    }

    fn bits(self) -> Option<u32> {
        None
    }

    fn as_floats<'a>(
        _: &'a Trees<Self>,
        _: &'a Tile<Self>,
    ) -> Option<(&'a Trees<f32>, &'a Tile<f32>)> {
        None
    }
}

/// Trees, ready to be evaluated.
#[derive(Debug)]
pub struct Trees<T> {
    isa: Isa,
    ways: Vec<Way>,
    masks: Masks<T>,
    packed: Packed,
    /// Of the trees that are walked.
    nodes: Vec<Node<T>>,
    labels: Vec<u32>,
    /// The columns that are looked at, in order. Trees number them by their place here.
    columns: Vec<u32>,
}

/// How a tree is evaluated.
#[derive(Debug, Clone)]
enum Way {
    /// By these blocks of comparisons.
    Masks(Range<usize>),
    /// Through these packed nodes, in at most so many steps.
    Packed(Range<usize>, usize),
    /// Through these nodes, in at most so many steps.
    Walk(Range<usize>, usize),
}

/// Memory to evaluate trees in, used again and again.
#[derive(Debug, Default)]
pub struct Workspace {
    /// What blocks of comparisons found that others go on from.
    parts: Vec<Lanes<u32>>,
}

impl<T: Number> Trees<T> {
    /// Prepares `nodes` for the instruction set `isa`. Rows that end in a leaf are given what
    /// `label` says of it, which is asked with the number of the node, counted over all trees.
    pub fn of(isa: Isa, nodes: &Nodes<T>, label: impl Fn(usize) -> u32) -> Self {
        let columns = nodes.columns();
        let mut made = Self {
            isa,
            ways: Vec::with_capacity(nodes.len()),
            masks: Masks::default(),
            packed: Packed::default(),
            nodes: Vec::new(),
            labels: Vec::new(),
            columns,
        };
        for (first, depth, own) in nodes.trees() {
            let own: Vec<Node<T>> = own.iter().map(|node| node.renumbered(&made.columns)).collect();
            let label = |node: usize| label(first + node);
            let way = made.way(&own, depth, label);
            made.ways.push(way);
        }
        made
    }

    fn way(&mut self, own: &[Node<T>], depth: usize, label: impl Fn(usize) -> u32) -> Way {
        if !tile::is_wide(self.columns.len()) {
            if let Some(blocks) = self.masks.plant(own, masks::leaves_max(self.isa), &label) {
                return Way::Masks(blocks);
            }
            if packed::is_for(self.isa)
                && let Some(nodes) = self.packed.plant(own, &label)
            {
                return Way::Packed(nodes, depth);
            }
        }
        let first = self.nodes.len();
        self.nodes.extend_from_slice(own);
        self.labels.extend((0..own.len()).map(label));
        Way::Walk(first..self.nodes.len(), depth)
    }

    /// How many trees there are.
    pub fn len(&self) -> usize {
        self.ways.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let walked = size_of_val(&*self.nodes) + size_of_val(&*self.labels);
        let lists = size_of_val(&*self.ways) + size_of_val(&*self.columns);
        self.masks.bytes() + self.packed.bytes() + walked + lists
    }

    /// Sends the rows of `tiles` through all trees. `arrived` is called with a tile, a tree and
    /// the label of the leaf of each row: for each tile, trees come in their order. Labels beyond
    /// the rows of a tile mean nothing.
    pub fn evaluate(
        &self,
        tiles: &[Tile<T>],
        workspace: &mut Workspace,
        mut arrived: impl FnMut(usize, usize, &[u32; TILE]),
    ) {
        let mut reached = Lanes::default();
        let mut one = |tree: usize, at: usize, tile: &Tile<T>| {
            self.reach(tree, tile, workspace, &mut reached);
            arrived(at, tree, &reached.0);
        };
        if self.bytes() > CLOSE_BYTES {
            for tree in 0..self.len() {
                tiles.iter().enumerate().for_each(|(at, tile)| one(tree, at, tile));
            }
        } else {
            for (at, tile) in tiles.iter().enumerate() {
                (0..self.len()).for_each(|tree| one(tree, at, tile));
            }
        }
    }

    fn reach(
        &self,
        tree: usize,
        tile: &Tile<T>,
        workspace: &mut Workspace,
        reached: &mut Lanes<u32>,
    ) {
        match self.ways.get(tree) {
            Some(Way::Masks(blocks)) => {
                masks::evaluate(self, blocks.clone(), tile, &mut workspace.parts, reached);
            }
            Some(Way::Packed(nodes, depth)) => {
                packed::descend(self, nodes.clone(), *depth, tile, &mut reached.0);
            }
            Some(Way::Walk(nodes, depth)) => {
                let own = self.nodes.get(nodes.clone()).unwrap_or_default();
                let labels = self.labels.get(nodes.clone()).unwrap_or_default();
                walk::descend(own, labels, *depth, tile, &mut reached.0);
            }
            None => {}
        }
    }
}

/// Adds labels that are the bits of floats to the sums of their rows.
pub fn add_floats(isa: Isa, labels: &[u32; TILE], sums: &mut [f64; TILE]) {
    isa.run(Add { labels, sums });
}

struct Add<'a> {
    labels: &'a [u32; TILE],
    sums: &'a mut [f64; TILE],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (sum, label) in self.sums.iter_mut().zip(self.labels) {
            *sum += f64::from(f32::from_bits(*label));
        }
    }
}

#[cfg(test)]
mod tests;

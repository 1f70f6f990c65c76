//! Small trees as comparisons that strike leaves.
//!
//! Leaves are numbered from the left. Each row has a word in which every leaf has a bit, all of them
//! set. A comparison that sends a row to the right clears the leaves below its left side. Leaves
//! that stay and are not the row's own lie to the right of it, whatever was compared: so its own is
//! the lowest bit that is left. Comparisons may be made in any order, also those that a row does not
//! come by. See Lucchese and others, "QuickScorer" (SIGIR 2015); here all comparisons of a tree are
//! made for all rows at once, since with 16 rows in a register that costs less than to choose.
//!
//! A word has 32 bits. A tree of more leaves is cut into blocks, of which one leads to others.

use std::ops::Range;

use super::nodes::Node;
use super::tile::{Lanes, TILE, Tile};
use super::{Number, Trees};
use crate::simd::{Isa, Kernel, Simd};

/// Ways out of a block: leaves, and other blocks.
pub(super) const EXITS: usize = 32;

/// Most leaves of a tree that is evaluated so: up to there it is faster than to go down (measured
/// with `benches/trees.rs`).
pub(super) fn leaves_max(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx(_) | Isa::Avx512(_) => 96,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => 192,
        Isa::Portable(_) => 64,
    }
}

/// Trees of blocks.
#[derive(Debug)]
pub(super) struct Masks<T> {
    splits: Vec<Split<T>>,
    blocks: Vec<Block>,
    parts: Vec<u32>,
}

/// A comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split<T> {
    pub(super) threshold: T,
    pub(super) column: u32,
    /// The exits that stay where a row goes to the right.
    pub(super) kept: u32,
}

/// The kinds of comparisons, in the order in which a block has them.
const KINDS: usize = 4;

#[derive(Debug, Clone)]
struct Block {
    /// Where the splits begin that compare with [`Compare::AtMost`](super::Compare::AtMost) and
    /// send missing values to the right, those that send them to the left, those that compare with
    /// [`Compare::Equal`](super::Compare::Equal) and send them to the right, to the left; and the end.
    splits: [usize; KINDS + 1],
    /// What exits that are leaves are given; the first is there once more at the end.
    labels: [u32; EXITS + 1],
    /// The exits that lead to other blocks, as bits, from the left to the right.
    parts: Range<usize>,
}

/// A block where it is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a, T> {
    /// Comparisons by kind.
    pub(super) kinds: [&'a [Split<T>]; KINDS],
    /// Those of the first two kinds, which are the same where nothing is missing.
    pub(super) at_most: &'a [Split<T>],
    pub(super) labels: &'a [u32; EXITS + 1],
    /// The exits that lead to other blocks.
    pub(super) parts: &'a [u32],
}

impl<T> Default for Masks<T> {
    fn default() -> Self {
        Self { splits: Vec::new(), blocks: Vec::new(), parts: Vec::new() }
    }
}

/// A node of a tree in which every node has one parent; nodes come before their children.
struct Place {
    node: usize,
    children: Option<(usize, usize)>,
    /// Exits below it, within its block.
    exits: usize,
    /// Whether it is the root of a block.
    is_cut: bool,
}

impl Place {
    /// Exits of the block above it.
    fn width(&self) -> usize {
        if self.is_cut { 1 } else { self.exits }
    }
}

impl<T: Number> Masks<T> {
    /// Adds the tree of `nodes`, unless it has more than `leaves_max` leaves, where one that is
    /// reached in two ways counts twice. Says which blocks it has.
    pub(super) fn plant(
        &mut self,
        nodes: &[Node<T>],
        leaves_max: usize,
        label: impl Fn(usize) -> u32,
    ) -> Option<Range<usize>> {
        let mut places = spread(nodes, leaves_max)?;
        cut(&mut places);
        let first = self.blocks.len();
        self.block(nodes, &places, 0, &label);
        Some(first..self.blocks.len())
    }

    /// Adds the block at `root` after those that it leads to. Blocks lie within each other at most
    /// as deep as there are blocks.
    fn block(
        &mut self,
        nodes: &[Node<T>],
        places: &[Place],
        root: usize,
        label: &impl Fn(usize) -> u32,
    ) {
        let mut kinds: [Vec<Split<T>>; KINDS] = Default::default();
        let (mut labels, mut parts) = ([0; EXITS + 1], Vec::new());
        let mut exit = 0;
        let mut next = vec![root];
        while let Some(at) = next.pop() {
            let Some(place) = places.get(at) else { continue };
            match place.children {
                Some((left, right)) if at == root || !place.is_cut => {
                    let width = places.get(left).map_or(1, Place::width);
                    let struck = bits(exit, width);
                    if let Some(node) = nodes.get(place.node) {
                        let kind =
                            2 * usize::from(node.is_equal()) + usize::from(node.is_missing_left());
                        let split = Split {
                            threshold: node.threshold,
                            column: node.column() as u32,
                            kept: !struck,
                        };
                        kinds.iter_mut().skip(kind).take(1).for_each(|kind| kind.push(split));
                    }
                    next.extend([right, left]);
                    continue;
                }
                Some(_) => {
                    self.block(nodes, places, at, label);
                    parts.push(bits(exit, 1));
                }
                None => {
                    let label = label(place.node);
                    labels.iter_mut().skip(exit).take(1).for_each(|to| *to = label);
                }
            }
            exit += 1;
        }
        labels[EXITS] = labels[0];
        let mut splits = [self.splits.len(); KINDS + 1];
        for (kind, end) in kinds.into_iter().zip(splits.iter_mut().skip(1)) {
            self.splits.extend(kind);
            *end = self.splits.len();
        }
        let first = self.parts.len();
        self.parts.extend(parts);
        self.blocks.push(Block { splits, labels, parts: first..self.parts.len() });
    }

    fn view<'a>(&'a self, block: &'a Block) -> View<'a, T> {
        let [a, b, c, d, e] = block.splits;
        let splits = |range: Range<usize>| self.splits.get(range).unwrap_or_default();
        View {
            kinds: [splits(a..b), splits(b..c), splits(c..d), splits(d..e)],
            at_most: splits(a..c),
            labels: &block.labels,
            parts: self.parts.get(block.parts.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.splits) + size_of_val(&*self.blocks) + size_of_val(&*self.parts)
    }
}

/// `count` bits from `first` on, of those that a word has.
fn bits(first: usize, count: usize) -> u32 {
    ((((1_u64 << count.min(EXITS)) - 1) << first.min(EXITS)) & u64::from(u32::MAX)) as u32
}

/// The places of a tree, unless it has more than `leaves_max` leaves.
fn spread<T: Number>(nodes: &[Node<T>], leaves_max: usize) -> Option<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    // A node with the place of its parent and the side on which it is.
    let mut next = vec![(0_usize, None)];
    while let Some((at, parent)) = next.pop() {
        let own = places.len();
        // A tree has one leaf more than branches.
        if own >= 2 * leaves_max - 1 {
            return None;
        }
        if let Some((parent, is_right)) = parent
            && let Some(Place { children: Some((left, right)), .. }) = places.get_mut(parent)
        {
            *(if is_right { right } else { left }) = own;
        }
        let node = nodes.get(at)?;
        let is_leaf = node.is_leaf(at);
        let children = (!is_leaf).then_some((0, 0));
        places.push(Place { node: at, children, exits: 1, is_cut: false });
        if !is_leaf {
            let sides = [(node.right, true), (node.left, false)];
            next.extend(sides.map(|(child, side)| (child as usize, Some((own, side)))));
        }
    }
    Some(places)
}

/// Cuts a tree into blocks, from the leaves upwards, wherever a block would have too many exits.
fn cut(places: &mut [Place]) {
    for at in (0..places.len()).rev() {
        let Some((left, right)) = places.get(at).and_then(|place| place.children) else { continue };
        let width = |places: &[Place], at: usize| places.get(at).map_or(1, Place::width);
        while width(places, left) + width(places, right) > EXITS {
            let is_left = width(places, left) >= width(places, right);
            let larger = if is_left { left } else { right };
            places.iter_mut().skip(larger).take(1).for_each(|place| place.is_cut = true);
        }
        let exits = width(places, left) + width(places, right);
        places.iter_mut().skip(at).take(1).for_each(|place| place.exits = exits);
    }
}

/// Finds the labels of a tile in the tree of `blocks`. `parts` is memory.
pub(super) fn evaluate<T: Number>(
    trees: &Trees<T>,
    blocks: Range<usize>,
    tile: &Tile<T>,
    parts: &mut Vec<Lanes<u32>>,
    reached: &mut Lanes<u32>,
) {
    let blocks = trees.masks.blocks.get(blocks).unwrap_or_default();
    parts.clear();
    for (at, block) in blocks.iter().enumerate() {
        // Those it leads to were evaluated last, in order.
        let view = trees.masks.view(block);
        let first = parts.len() - view.parts.len().min(parts.len());
        let own = parts.get(first..).unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        match (trees.isa.avx512(), T::as_floats(trees, tile)) {
            (Some(simd), Some((trees, tile))) => {
                super::x86::strike(simd, trees.masks.view(block), tile, own, reached);
            }
            _ => trees.isa.run(Strike { view, tile, parts: own, reached }),
        }
        #[cfg(not(target_arch = "x86_64"))]
        trees.isa.run(Strike { view, tile, parts: own, reached });
        if at + 1 < blocks.len() {
            parts.truncate(first);
            parts.push(*reached);
        }
    }
}

/// Evaluates a block with whatever the compiler makes of it.
struct Strike<'a, T> {
    view: View<'a, T>,
    tile: &'a Tile<T>,
    parts: &'a [Lanes<u32>],
    reached: &'a mut Lanes<u32>,
}

impl<T: Number> Kernel for Strike<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { view, tile, parts, reached } = self;
        let mut left = [u32::MAX; TILE];
        let [first, second, third, fourth] = view.kinds;
        // The comparisons say whether a row goes to the right.
        strike(&mut left, tile, first, |x, threshold| {
            let is_left = x <= threshold;
            !is_left
        });
        strike(&mut left, tile, second, |x, threshold| x > threshold);
        strike(&mut left, tile, third, |x, threshold| x != threshold);
        strike(&mut left, tile, fourth, |x, threshold| (x < threshold) | (x > threshold));
        for (reached, left) in reached.0.iter_mut().zip(&left) {
            let exit = left.trailing_zeros() as usize % EXITS;
            *reached = view.labels[exit];
        }
        for (exit, part) in view.parts.iter().zip(parts) {
            for ((reached, left), part) in reached.0.iter_mut().zip(&left).zip(&part.0) {
                if left & left.wrapping_neg() == *exit {
                    *reached = *part;
                }
            }
        }
    }
}

#[inline(always)]
fn strike<T: Number>(
    left: &mut [u32; TILE],
    tile: &Tile<T>,
    splits: &[Split<T>],
    is_right: impl Fn(T, T) -> bool,
) {
    for split in splits {
        let Some(column) = tile.columns().get(split.column as usize) else { continue };
        for (left, x) in left.iter_mut().zip(&column.0) {
            // All bits where it goes to the left; without a branch, which would often be missed.
            let stays = u32::from(is_right(*x, split.threshold)).wrapping_sub(1);
            *left &= split.kept | stays;
        }
    }
}

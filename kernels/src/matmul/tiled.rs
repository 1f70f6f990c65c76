//! Products by tiles: pairs and quads on a processor with AMX.
//!
//! Rows are packed into tiles for each product; columns are read as they lie in panels, of which
//! 16 steps are two tiles side by side. 32 rows and a panel are computed at once, from the bias on
//! and 16 words of the depth at a time, always in this order: a row never depends on the rows beside it.
//!
//! Attention does not go this way: the depths of its heads are short, and its sides are made anew
//! for each head.

use super::quads::{self, RightQuads};
use super::{Finish, Numbers, Out, PANEL, Panel, Right, apply};
use crate::dot::{Pair, Quad, Word};
use crate::simd::{Kernel, Simd};
use crate::tiles::{SIDE, Sums, Tile, Tiles};

/// Words of the depth that are taken at a time: 24 KiB of a panel, half of the first cache of
/// processors with AMX.
const DEPTH: usize = 12 * SIDE;

/// Memory for products, used again and again.
#[derive(Debug)]
pub(crate) struct Tiled<W: Word> {
    rows: Rows<W>,
    sums: Vec<Sums<W::Sum>>,
    /// Of quads: the scale of each row, and the bytes of one.
    scales: Vec<f32>,
    bytes: Vec<u8>,
}

impl<W: Word> Default for Tiled<W> {
    fn default() -> Self {
        let rows = Rows { count: 0, steps: 0, tiles: Vec::new(), line: Vec::new() };
        Self { rows, sums: Vec::new(), scales: Vec::new(), bytes: Vec::new() }
    }
}

/// Rows, in tiles: for each 32 rows, for each 16 words of the depth, two tiles; then one for each 16
/// words of the last 16 rows, if the tiles are odd. What does not fill a tile is 0.
#[derive(Debug)]
struct Rows<W> {
    count: usize,
    /// Tiles of the depth.
    steps: usize,
    tiles: Vec<Tile<W>>,
    line: Vec<W>,
}

impl<W: Word> Rows<W> {
    /// Takes `count` rows of so many words at most: `row` appends the words of one to what it is
    /// given. Memory is kept from call to call.
    #[inline(always)]
    fn fill(&mut self, count: usize, words: usize, mut row: impl FnMut(usize, &mut Vec<W>)) {
        (self.count, self.steps) = (count, words.div_ceil(SIDE));
        self.tiles.clear();
        self.tiles.resize(count.div_ceil(SIDE) * self.steps, Tile::default());
        let in_twos = count.div_ceil(SIDE) & !1;
        for at in 0..count {
            self.line.clear();
            row(at, &mut self.line);
            let (tile, lane) = (at / SIDE, at % SIDE);
            let (first, stride) = match tile < in_twos {
                true => (tile / 2 * 2 * self.steps + tile % 2, 2),
                false => (tile * self.steps, 1),
            };
            let own = self.tiles.get_mut(first..).unwrap_or_default();
            let own = own.iter_mut().step_by(stride).take(self.steps);
            for (tile, words) in own.zip(self.line.chunks(SIDE)) {
                for (to, from) in tile.0[lane].iter_mut().zip(words) {
                    *to = *from;
                }
            }
        }
    }
}

/// The sums of all rows and a panel, each beginning with `start`: `finish` gets those of a row and
/// its position.
#[inline(always)]
fn sum<W: Word>(
    tiles: &mut impl Tiles<W>,
    rows: &Rows<W>,
    panel: &[Panel<W>],
    start: &Panel<W::Sum>,
    sums: &mut Vec<Sums<W::Sum>>,
    mut finish: impl FnMut(usize, &mut Panel<W::Sum>),
) {
    debug_assert_eq!(rows.steps, panel.len().div_ceil(SIDE), "the depths of a product");
    sums.clear();
    sums.resize(rows.count.div_ceil(SIDE), [*start; SIDE]);
    let (twos, one) = sums.as_chunks_mut::<2>();
    let (rows_of_twos, rows_of_one) = rows.tiles.split_at(twos.len() * 2 * rows.steps);
    let rows_of_twos = rows_of_twos.as_chunks::<2>().0.chunks_exact(rows.steps.max(1));
    for (block, first) in panel.chunks(DEPTH).zip((0..).step_by(DEPTH)) {
        let (whole, rest) = block.as_chunks();
        let mut last = [Panel::default(); SIDE];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let columns = Columns {
            start: (first == 0).then_some(start),
            step: first / SIDE,
            whole,
            last: (!rest.is_empty()).then_some(&last),
        };
        let is_last = first + block.len() == panel.len();
        // The sums are finished while they are still in the first cache.
        let mut done = |first: usize, sums: &mut [Sums<W::Sum>]| {
            let sums = sums.as_flattened_mut().iter_mut();
            sums.zip(first..rows.count).for_each(|(sums, row)| finish(row, sums));
        };
        for ((sums, rows), at) in twos.iter_mut().zip(rows_of_twos.clone()).zip(0..) {
            columns.add(tiles, rows, sums);
            if is_last {
                done(at * 2 * SIDE, sums);
            }
        }
        if let Some(sums) = one.first_chunk_mut::<1>() {
            columns.add(tiles, rows_of_one.as_chunks().0, sums);
            if is_last {
                done(twos.len() * 2 * SIDE, sums);
            }
        }
    }
}

/// A block of the depth of a panel.
struct Columns<'a, W: Word> {
    /// What sums begin with; if nothing, then with what they are.
    start: Option<&'a Panel<W::Sum>>,
    /// The tile of the depth at which it begins.
    step: usize,
    whole: &'a [[Panel<W>; SIDE]],
    /// What does not fill a tile, filled up with zeros.
    last: Option<&'a [Panel<W>; SIDE]>,
}

impl<W: Word> Columns<'_, W> {
    /// Adds the products of `N` tiles of rows and the block to their sums.
    #[inline(always)]
    fn add<const N: usize>(
        &self,
        tiles: &mut impl Tiles<W>,
        rows: &[[Tile<W>; N]],
        sums: &mut [Sums<W::Sum>; N],
    ) {
        match self.start {
            Some(start) => tiles.begin::<N>(start),
            None => tiles.take(sums),
        }
        let rows = rows.get(self.step..).unwrap_or_default();
        for (rows, columns) in rows.iter().zip(self.whole.iter().chain(self.last)) {
            tiles.add(rows.each_ref(), columns);
        }
        tiles.give(sums);
    }
}

/// Rows times columns: what [`Matrix`](crate::matrix::Matrix) multiplies.
pub(crate) struct Product<'a, W: Word, R, T> {
    pub(crate) tiles: T,
    pub(crate) memory: &'a mut Tiled<W>,
    /// Row-major, of `depth` numbers each.
    pub(crate) rows: &'a [f32],
    pub(crate) depth: usize,
    pub(crate) right: &'a R,
    pub(crate) finish: Finish,
    pub(crate) out: Out<'a>,
}

impl<T: Tiles<Pair>> Kernel for Product<'_, Pair, Right<Pair>, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut tiles, memory, rows, depth, right, finish, mut out } = self;
        let Tiled { rows: packed, sums, .. } = memory;
        let lines = rows.chunks_exact(depth.max(1));
        packed.fill(lines.len(), right.depth, |at, words| {
            let row = rows.get(at * depth..(at + 1) * depth).unwrap_or_default();
            Pair::extend(words, row, 1.0);
        });
        for (at, panel) in right.panels.chunks_exact(right.depth.max(1)).enumerate() {
            let bias = right.bias.get(at).copied().unwrap_or_default();
            let (from, width) = (at * PANEL, PANEL.min(right.columns - at * PANEL));
            sum(&mut tiles, packed, panel, &bias, sums, |row, sums| {
                apply(simd, finish, sums);
                put(&mut out, row, from, width, sums);
            });
        }
    }
}

impl<T: Tiles<Quad>> Kernel for Product<'_, Quad, RightQuads, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut tiles, memory, rows, depth, right, finish, mut out } = self;
        let Tiled { rows: packed, sums, scales, bytes } = memory;
        scales.clear();
        let lines = rows.chunks_exact(depth.max(1));
        packed.fill(lines.len(), right.words.depth, |at, words| {
            let row = rows.get(at * depth..(at + 1) * depth).unwrap_or_default();
            scales.push(quads::round_row(row, bytes, words));
        });
        for (at, panel) in right.words.panels.chunks_exact(right.words.depth.max(1)).enumerate() {
            let (from, width) = (at * PANEL, PANEL.min(right.words.columns - at * PANEL));
            let columns = right.scaled(at);
            sum(&mut tiles, packed, panel, &Panel::default(), sums, |row, sums| {
                let own = scales.get(row).copied().unwrap_or(f32::NAN);
                let mut numbers = columns.numbers(sums, own);
                apply(simd, finish, &mut numbers);
                put(&mut out, row, from, width, &numbers);
            });
        }
    }
}

/// Writes the first numbers of `numbers`, those of the columns from `from` on.
#[inline(always)]
fn put(out: &mut Out<'_>, row: usize, from: usize, width: usize, numbers: &Panel<f32>) {
    let start = row * out.stride + out.offset + from;
    if let Some(to) = out.numbers.get_mut(start..start + width) {
        to.copy_from_slice(numbers.0.get(..width).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;

//! Products of matrices: rows times packed weights.
//!
//! [`Left`] holds rows in tiles of [`TILE`], [`Right`] holds columns in panels of [`PANEL`]; a
//! tile times a panel is computed in registers. Each number of the result is one chain of fused
//! multiply-adds that starts with the bias and takes the depth in order, whatever the number of
//! rows, the tile and the instruction set: a row never depends on the rows beside it. Cutting
//! the depth into blocks, so that a panel stays in the cache, stores and loads the chain and
//! changes nothing.

mod apart;
mod packed;
pub mod quads;
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) mod tiled;

use std::ops::Range;

use crate::dot::{Dot, DotKernel, Word};
use crate::math::{gelu, gelu_tanh, tanh};
use crate::simd::{Isa, Simd};

use apart::{Apart, Floats};
pub use packed::{Left, Numbers, Panel, Right};

/// Rows that are computed side by side: 12 rows of two registers are 24 sums of 32 registers.
pub const TILE: usize = 12;
/// Columns that are computed side by side.
pub const PANEL: usize = 32;
/// Words of the depth that are taken at a time: 48 KiB of a panel. Those of usual models are taken
/// at once; a panel then comes from the second cache, which is fast enough.
const DEPTH: usize = 384;
/// Bytes of rows that are multiplied with all columns before the next ones are: as much as stays in
/// a usual second cache.
const GROUP: usize = 1024 << 10;

/// What is done to each number of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing.
    Identity,
    /// GELU in its exact form.
    Gelu,
    /// GELU with tanh.
    GeluTanh,
    /// The larger of it and 0.
    Relu,
    /// tanh.
    Tanh,
}

/// Sums of a tile and a panel while they are computed.
type Sums<T> = [Panel<T>; TILE];

/// Memory for products, used again and again.
#[derive(Debug, Default)]
pub struct Scratch<T = f32> {
    sums: Vec<Sums<T>>,
    floats: Floats,
}

/// Where a product goes: rows of `stride` numbers, of which the first of the result is at
/// `offset`.
#[derive(Debug)]
pub struct Out<'a> {
    /// The numbers.
    pub numbers: &'a mut [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
    /// The first column that is written.
    pub offset: usize,
}

/// `out` = finish(`left` × `right` + bias). Rows and columns beyond the end of `out` are left out.
pub fn product<W: Numbers>(
    isa: Isa,
    scratch: &mut Scratch,
    left: &Left<W>,
    right: &Right<W>,
    finish: Finish,
    out: Out<'_>,
) {
    let product = Product { scratch, left, right, finish, out };
    // Taking columns apart is work for nothing where few rows use them.
    if left.rows > 2 * TILE && W::is_faster_apart(isa) {
        f32::run(isa, Apart(product));
    } else {
        W::run(isa, product);
    }
}

struct Product<'a, W> {
    scratch: &'a mut Scratch,
    left: &'a Left<W>,
    right: &'a Right<W>,
    finish: Finish,
    out: Out<'a>,
}

impl<W: Numbers> DotKernel<W> for Product<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Dot<W, Sum = f32>>(self, simd: S) {
        let Self { scratch, left, right, finish, mut out } = self;
        for (tiles, first) in left.groups() {
            for (panel, from) in right.panels_from() {
                let start = right.bias.get(from / PANEL).copied().unwrap_or_default();
                let columns = from..right.columns.min(from + PANEL);
                sum(
                    simd,
                    &mut scratch.sums,
                    left.depth,
                    tiles,
                    panel,
                    start,
                    #[inline(always)]
                    |tile: usize, sums: &mut Sums<f32>| {
                        let first = first + tile * TILE;
                        out.put(simd, finish, sums, first..left.rows, columns.clone());
                    },
                );
            }
        }
    }
}

impl Out<'_> {
    /// Writes the sums of a tile, finished: those of these rows and columns.
    #[inline(always)]
    fn put<S: Simd>(
        &mut self,
        simd: S,
        finish: Finish,
        sums: &mut Sums<f32>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let width = columns.len();
        for (sums, row) in sums.iter_mut().zip(rows) {
            apply(simd, finish, sums);
            let start = row * self.stride + self.offset + columns.start;
            if let Some(to) = self.numbers.get_mut(start..start + width) {
                to.copy_from_slice(sums.0.get(..width).unwrap_or_default());
            }
        }
    }
}

/// Gives `done` the sums of each of `tiles`, whose depth is `depth`, and one panel, each beginning
/// with `start`.
#[inline(always)]
fn sum<W: Word, S: Dot<W, Sum = W::Sum>>(
    simd: S,
    sums: &mut Vec<Sums<W::Sum>>,
    depth: usize,
    tiles: &[[W; TILE]],
    panel: &[Panel<W>],
    start: Panel<W::Sum>,
    mut done: impl FnMut(usize, &mut Sums<W::Sum>),
) {
    debug_assert_eq!(depth, panel.len(), "the depths of a product");
    let tiles = tiles.chunks_exact(depth.max(1));
    // One place is enough where the depth is taken at once, and it stays in the first cache.
    sums.resize(if depth > DEPTH { tiles.len() } else { 1 }, [start; TILE]);
    for (block, first) in panel.chunks(DEPTH).zip((0..).step_by(DEPTH)) {
        let end = first + block.len();
        for (at, tile) in tiles.clone().enumerate() {
            let Some(sums) = sums.get_mut(if depth > DEPTH { at } else { 0 }) else { continue };
            if first == 0 {
                *sums = [start; TILE];
            }
            add(simd, tile.get(first..end).unwrap_or_default(), block, sums);
            if end == depth {
                done(at, sums);
            }
        }
    }
}

/// Adds a block of the depth to the sums of a tile and a panel, in registers: 12 × 2 sums where
/// there are 32, four times 6 × 2 where there are 16.
#[inline(always)]
fn add<W: Word, S: Dot<W, Sum = W::Sum>>(
    simd: S,
    tile: &[[W; TILE]],
    block: &[Panel<W>],
    sums: &mut Sums<W::Sum>,
) {
    for first in (0..PANEL / S::WIDTH).step_by(2) {
        if S::MANY {
            part::<W, S, 12, 0>(simd, tile, block, sums, first);
        } else {
            part::<W, S, 6, 0>(simd, tile, block, sums, first);
            part::<W, S, 6, 6>(simd, tile, block, sums, first);
        }
    }
}

/// `ROWS` rows from `AT` on, and the two registers of columns from `first` on.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators over the sums keep them in memory")]
fn part<W: Word, S: Dot<W, Sum = W::Sum>, const ROWS: usize, const AT: usize>(
    simd: S,
    tile: &[[W; TILE]],
    block: &[Panel<W>],
    sums: &mut Sums<W::Sum>,
    first: usize,
) {
    let start = simd.sums(&sums[AT].0, first);
    let mut registers = [[start; 2]; ROWS];
    for row in 0..ROWS {
        for index in 0..2 {
            registers[row][index] = simd.sums(&sums[AT + row].0, first + index);
        }
    }
    for (left, right) in tile.iter().zip(block) {
        let right = [simd.words(&right.0, first), simd.words(&right.0, first + 1)];
        for row in 0..ROWS {
            let left = simd.every(left[AT + row]);
            for index in 0..2 {
                registers[row][index] = simd.dot(left, right[index], registers[row][index]);
            }
        }
    }
    for row in 0..ROWS {
        for index in 0..2 {
            simd.put(&mut sums[AT + row].0, first + index, registers[row][index]);
        }
    }
}

#[inline(always)]
fn apply<S: Simd>(simd: S, finish: Finish, sums: &mut Panel<f32>) {
    if finish == Finish::Identity {
        return;
    }
    for index in 0..PANEL / S::WIDTH {
        let x = simd.load(&sums.0, index);
        let y = match finish {
            Finish::Identity => x,
            Finish::Gelu => gelu(simd, x),
            Finish::GeluTanh => gelu_tanh(simd, x),
            // In this order NaN stays NaN, and the row is rejected in the end.
            Finish::Relu => simd.max(simd.splat(0.0), x),
            Finish::Tanh => tanh(simd, x),
        };
        simd.store(&mut sums.0, index, y);
    }
}

#[cfg(test)]
pub(crate) mod tests;

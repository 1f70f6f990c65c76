//! Tiles in plain Rust, by Intel's description of the instructions (SDM volume 2, TDPBF16PS and
//! TDPBUSD), to test what is around them on any machine, and them where they are.
//!
//! One thing is left out: a sum that only its rounding lifts to the smallest normal float.

use super::{SIDE, Sums, Tile, Tiles};
use crate::dot::{Pair, Quad, Word};
use crate::matmul::Panel;

/// The numbers of a tile of sums.
type Numbers<T> = [[T; SIDE]; SIDE];

/// The tiles of sums of a thread; those of rows and columns are where they are loaded from.
#[derive(Debug, Default)]
pub(crate) struct Model<T> {
    sums: [Numbers<T>; 4],
}

/// A word as the model of an instruction multiplies it.
pub(crate) trait TileWord: Word {
    /// Adds to each sum the products of a row of words, `left`, and a column, of which `right` has one for
    /// each step and each sum.
    fn add(sums: &mut [Self::Sum; SIDE], left: &[Self; SIDE], right: impl Fn(usize, usize) -> Self);
}

impl TileWord for Pair {
    fn add(sums: &mut [f32; SIDE], left: &[Self; SIDE], right: impl Fn(usize, usize) -> Self) {
        let mut both = [[0.0; 2]; SIDE];
        for (step, left) in left.iter().enumerate() {
            for (column, both) in both.iter_mut().enumerate() {
                let products = apart(*left).into_iter().zip(apart(right(step, column)));
                for (sum, (left, right)) in both.iter_mut().zip(products) {
                    *sum = normal(normal(left).mul_add(normal(right), *sum));
                }
            }
        }
        for (sum, [first, second]) in sums.iter_mut().zip(both) {
            *sum = normal(normal(*sum) + normal(first + second));
        }
    }
}

impl TileWord for Quad {
    fn add(sums: &mut [i32; SIDE], left: &[Self; SIDE], right: impl Fn(usize, usize) -> Self) {
        for (step, left) in left.iter().enumerate() {
            for (column, sum) in sums.iter_mut().enumerate() {
                let right = right(step, column).0.to_le_bytes();
                for (left, right) in left.0.to_le_bytes().into_iter().zip(right) {
                    *sum = sum.wrapping_add(i32::from(left) * i32::from(right.cast_signed()));
                }
            }
        }
    }
}

/// The numbers of a pair.
pub(crate) fn apart(Pair(bits): Pair) -> [f32; 2] {
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xFFFF_0000)]
}

/// `number`, or 0 of its sign if it is smaller than the smallest normal float.
pub(crate) fn normal(number: f32) -> f32 {
    if number.is_subnormal() { 0.0_f32.copysign(number) } else { number }
}

impl<W: TileWord> Tiles<W> for Model<W::Sum> {
    fn begin<const N: usize>(&mut self, start: &Panel<W::Sum>) {
        Tiles::<W>::take(self, &[[*start; SIDE]; N]);
    }

    fn take<const N: usize>(&mut self, sums: &[Sums<W::Sum>; N]) {
        for (tiles, sums) in self.sums.chunks_mut(2).zip(sums) {
            for (half, tile) in tiles.iter_mut().enumerate() {
                for (to, from) in tile.iter_mut().zip(sums) {
                    to.copy_from_slice(&from.0[half * SIDE..][..SIDE]);
                }
            }
        }
    }

    fn add<const N: usize>(&mut self, rows: [&Tile<W>; N], columns: &[Panel<W>; SIDE]) {
        for (tiles, rows) in self.sums.chunks_mut(2).zip(rows) {
            for (half, tile) in tiles.iter_mut().enumerate() {
                for (sums, left) in tile.iter_mut().zip(&rows.0) {
                    W::add(sums, left, |step, column| columns[step].0[half * SIDE + column]);
                }
            }
        }
    }

    fn give<const N: usize>(&mut self, sums: &mut [Sums<W::Sum>; N]) {
        for (tiles, sums) in self.sums.chunks(2).zip(sums) {
            for (half, tile) in tiles.iter().enumerate() {
                for (from, to) in tile.iter().zip(&mut *sums) {
                    to.0[half * SIDE..][..SIDE].copy_from_slice(from);
                }
            }
        }
    }
}

//! Tiles, and what is done with them, behind one trait.

use crate::dot::Word;
use crate::matmul::Panel;

/// Rows of a tile, and words of a row.
pub(crate) const SIDE: usize = 16;

/// Words of 16 rows in 16 steps of the depth.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Tile<W>(pub(crate) [[W; SIDE]; SIDE]);

impl<W: Copy + Default> Default for Tile<W> {
    fn default() -> Self {
        Self([[W::default(); SIDE]; SIDE])
    }
}

/// Sums of 16 rows and the columns of a panel: two tiles side by side.
pub(crate) type Sums<T> = [Panel<T>; SIDE];

/// The tiles of a thread: four of sums, two of rows, two of columns. `N` is how many tiles of rows
/// are computed side by side, 1 or 2, and the same from [`begin`](Self::begin) or
/// [`take`](Self::take) to [`give`](Self::give).
pub(crate) trait Tiles<W: Word> {
    /// Makes the sums of each row those of `start`.
    fn begin<const N: usize>(&mut self, start: &Panel<W::Sum>);
    /// Takes sums that were given before.
    fn take<const N: usize>(&mut self, sums: &[Sums<W::Sum>; N]);
    /// Adds the products of rows and columns in 16 steps of the depth.
    fn add<const N: usize>(&mut self, rows: [&Tile<W>; N], columns: &[Panel<W>; SIDE]);
    /// Writes the sums.
    fn give<const N: usize>(&mut self, sums: &mut [Sums<W::Sum>; N]);
}

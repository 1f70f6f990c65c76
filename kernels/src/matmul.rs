//! Products of matrices: rows times packed weights.
//!
//! [`Left`] holds rows in tiles of [`TILE`], [`Right`] holds columns in panels of [`PANEL`]; a
//! tile times a panel is computed in registers. Each number of the result is one chain of fused
//! multiply-adds that starts with the bias and takes the depth in order, whatever the number of
//! rows, the tile and the instruction set: a row never depends on the rows beside it. Cutting
//! the depth into blocks, so that a panel stays in the first cache, stores and loads the chain
//! and changes nothing.

use crate::math::{gelu, gelu_tanh, tanh};
use crate::simd::{Isa, Kernel, Simd};

/// Rows that are computed side by side: 12 rows of two registers are 24 sums of 32 registers.
pub const TILE: usize = 12;
/// Columns that are computed side by side.
pub const PANEL: usize = 32;
/// Depth that is taken at a time: 16 KiB of a panel, half of a usual first cache.
const DEPTH: usize = 128;

/// The columns of a panel.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Panel(pub [f32; PANEL]);

impl Panel {
    const ZERO: Self = Self([0.0; PANEL]);
}

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

/// Rows, in tiles: for each tile, for each step of the depth, a number of each row.
#[derive(Debug, Default)]
pub struct Left {
    rows: usize,
    depth: usize,
    tiles: Vec<[f32; TILE]>,
}

impl Left {
    /// Takes rows of `depth` numbers, each `scale` times what `row` says for it (0 where that is
    /// too short). Memory is kept from call to call.
    pub fn fill<'a>(
        &mut self,
        rows: usize,
        depth: usize,
        scale: f32,
        row: impl Fn(usize) -> &'a [f32],
    ) {
        (self.rows, self.depth) = (rows, depth);
        self.tiles.clear();
        self.tiles.resize(rows.div_ceil(TILE) * depth, [0.0; TILE]);
        for (tile, first) in self.tiles.chunks_exact_mut(depth.max(1)).zip((0..).step_by(TILE)) {
            for lane in 0..TILE.min(rows - first) {
                for (to, from) in tile.iter_mut().zip(row(first + lane)) {
                    to[lane] = from * scale;
                }
            }
        }
    }
}

/// Columns, in panels: for each panel, for each step of the depth, a number of each column.
#[derive(Debug, Default)]
pub struct Right {
    depth: usize,
    columns: usize,
    panels: Vec<Panel>,
    bias: Vec<Panel>,
}

impl Right {
    /// Packs a weight matrix `[columns, depth]`, row-major, and the bias of each column (0 where
    /// `bias` is too short).
    pub fn of_weights(columns: usize, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let mut packed = Self::default();
        packed.resize(columns, depth);
        for (column, weights) in weights.chunks_exact(depth.max(1)).take(columns).enumerate() {
            packed.set_column(column, weights);
        }
        packed.bias = vec![Panel::ZERO; columns.div_ceil(PANEL)];
        for (to, from) in packed.bias.as_flattened_panels().zip(bias.iter().take(columns)) {
            *to = *from;
        }
        packed
    }

    /// Makes room for `columns` columns of `depth` numbers, all 0, without a bias.
    pub(crate) fn resize(&mut self, columns: usize, depth: usize) {
        (self.columns, self.depth) = (columns, depth);
        self.bias.clear();
        self.panels.clear();
        self.panels.resize(columns.div_ceil(PANEL) * depth, Panel::ZERO);
    }

    /// Sets one column.
    pub(crate) fn set_column(&mut self, column: usize, numbers: &[f32]) {
        let panel = self.panels.get_mut(column / PANEL * self.depth..).unwrap_or_default();
        for (to, from) in panel.iter_mut().zip(numbers.iter().take(self.depth)) {
            to.0[column % PANEL] = *from;
        }
    }

    /// Sets one step of the depth for all columns.
    pub(crate) fn set_step(&mut self, step: usize, numbers: &[f32]) {
        for (panel, numbers) in numbers.chunks(PANEL).enumerate() {
            if let Some(to) = self.panels.get_mut(panel * self.depth + step) {
                for (to, from) in to.0.iter_mut().zip(numbers) {
                    *to = *from;
                }
            }
        }
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.panels) + size_of_val(&*self.bias)
    }
}

trait Flattened {
    fn as_flattened_panels(&mut self) -> impl Iterator<Item = &mut f32>;
}

impl Flattened for Vec<Panel> {
    fn as_flattened_panels(&mut self) -> impl Iterator<Item = &mut f32> {
        self.iter_mut().flat_map(|panel| &mut panel.0)
    }
}

/// Sums of a tile and a panel while they are computed.
type Sums = [Panel; TILE];

/// Memory for products, used again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    sums: Vec<Sums>,
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
pub fn product(
    isa: Isa,
    scratch: &mut Scratch,
    left: &Left,
    right: &Right,
    finish: Finish,
    out: Out<'_>,
) {
    debug_assert_eq!(left.depth, right.depth, "the depths of a product");
    isa.run(Product { scratch, left, right, finish, out });
}

struct Product<'a> {
    scratch: &'a mut Scratch,
    left: &'a Left,
    right: &'a Right,
    finish: Finish,
    out: Out<'a>,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { scratch, left, right, finish, out } = self;
        let depth = right.depth.max(1);
        let tiles = left.tiles.chunks_exact(depth);
        for (at, panel) in right.panels.chunks_exact(depth).enumerate() {
            let bias = right.bias.get(at).copied().unwrap_or(Panel::ZERO);
            scratch.sums.clear();
            scratch.sums.resize(tiles.len(), [bias; TILE]);
            for (block, first) in panel.chunks(DEPTH).zip((0..).step_by(DEPTH)) {
                for (tile, sums) in tiles.clone().zip(&mut scratch.sums) {
                    let tile = tile.get(first..first + block.len()).unwrap_or_default();
                    add(simd, tile, block, sums);
                }
            }
            let (from, columns) = (at * PANEL, PANEL.min(right.columns - at * PANEL));
            for (sums, first) in scratch.sums.iter_mut().zip((0..).step_by(TILE)) {
                for (sums, row) in sums.iter_mut().zip(first..left.rows) {
                    apply(simd, finish, sums);
                    let start = row * out.stride + out.offset + from;
                    if let Some(to) = out.numbers.get_mut(start..start + columns) {
                        to.copy_from_slice(sums.0.get(..columns).unwrap_or_default());
                    }
                }
            }
        }
    }
}

/// Adds a block of the depth to the sums of a tile and a panel, in registers: 12 × 2 sums where
/// there are 32, four times 6 × 2 where there are 16.
#[inline(always)]
fn add<S: Simd>(simd: S, tile: &[[f32; TILE]], block: &[Panel], sums: &mut Sums) {
    for first in (0..PANEL / S::WIDTH).step_by(2) {
        if S::MANY {
            part::<S, 12, 0>(simd, tile, block, sums, first);
        } else {
            part::<S, 6, 0>(simd, tile, block, sums, first);
            part::<S, 6, 6>(simd, tile, block, sums, first);
        }
    }
}

/// `ROWS` rows from `AT` on, and the two registers of columns from `first` on.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators over the sums keep them in memory")]
fn part<S: Simd, const ROWS: usize, const AT: usize>(
    simd: S,
    tile: &[[f32; TILE]],
    block: &[Panel],
    sums: &mut Sums,
    first: usize,
) {
    let mut registers = [[simd.splat(0.0); 2]; ROWS];
    for row in 0..ROWS {
        for index in 0..2 {
            registers[row][index] = simd.load(&sums[AT + row].0, first + index);
        }
    }
    for (left, right) in tile.iter().zip(block) {
        let right = [simd.load(&right.0, first), simd.load(&right.0, first + 1)];
        for row in 0..ROWS {
            let left = simd.splat(left[AT + row]);
            for index in 0..2 {
                registers[row][index] = simd.fma(left, right[index], registers[row][index]);
            }
        }
    }
    for row in 0..ROWS {
        for index in 0..2 {
            simd.store(&mut sums[AT + row].0, first + index, registers[row][index]);
        }
    }
}

#[inline(always)]
fn apply<S: Simd>(simd: S, finish: Finish, sums: &mut Panel) {
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

//! Weights packed in the precision that was asked for, and products with them.

use crate::dot::Pair;
#[cfg(target_arch = "x86_64")]
use crate::dot::Quad;
use crate::matmul::quads::{LeftQuads, RightQuads, product_of_quads};
#[cfg(target_arch = "x86_64")]
use crate::matmul::tiled::{Product, Tiled};
use crate::matmul::{Finish, Left, Out, Right, Scratch, product};
use crate::simd::Isa;

/// Precision of the products of a model. What is summed is floats, and so is all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Floats.
    F32,
    /// Floats of 16 bits on both sides.
    Bf16,
    /// Integers of 8 bits on both sides, with a scale for each row and each column.
    Int8,
}

/// A packed matrix of weights.
#[derive(Debug)]
pub struct Matrix(Packed);

#[derive(Debug)]
enum Packed {
    F32(Right),
    Bf16(Right<Pair>),
    Int8(RightQuads),
}

/// Memory for products with matrices, used again and again.
#[derive(Debug, Default)]
pub struct Workspace {
    floats: Left,
    pairs: Left<Pair>,
    quads: LeftQuads,
    sums: Scratch,
    integers: Scratch<i32>,
    #[cfg(target_arch = "x86_64")]
    tiles_of_pairs: Tiled<Pair>,
    #[cfg(target_arch = "x86_64")]
    tiles_of_quads: Tiled<Quad>,
}

impl Matrix {
    /// Packs a weight matrix `[columns, depth]`, row-major, and the bias of each column (0 where
    /// `bias` is too short).
    pub fn pack(
        precision: Precision,
        columns: usize,
        depth: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Self {
        Self(match precision {
            Precision::F32 => Packed::F32(Right::of_weights(columns, depth, weights, bias)),
            Precision::Bf16 => Packed::Bf16(Right::of_weights(columns, depth, weights, bias)),
            Precision::Int8 => Packed::Int8(RightQuads::of_weights(columns, depth, weights, bias)),
        })
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        match &self.0 {
            Packed::F32(right) => right.columns(),
            Packed::Bf16(right) => right.columns(),
            Packed::Int8(right) => right.columns(),
        }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Packed::F32(right) => right.bytes(),
            Packed::Bf16(right) => right.bytes(),
            Packed::Int8(right) => right.bytes(),
        }
    }

    /// Replaces `out` by finish(rows × matrix + bias): `rows` has `depth` numbers for each row.
    pub fn multiply(
        &self,
        isa: Isa,
        workspace: &mut Workspace,
        rows: &[f32],
        depth: usize,
        finish: Finish,
        out: &mut Vec<f32>,
    ) {
        let count = rows.len() / depth.max(1);
        let row = |at: usize| rows.get(at * depth..(at + 1) * depth).unwrap_or_default();
        let stride = self.columns();
        // What it held does not matter: a product writes every number, unless its depth is 0.
        out.resize(count * stride, 0.0);
        let to = Out { numbers: out, stride, offset: 0 };
        match (&self.0, isa) {
            #[cfg(target_arch = "x86_64")]
            (Packed::Bf16(right), Isa::Amx(amx)) => {
                let (tiles, memory) = (amx.configure(), &mut workspace.tiles_of_pairs);
                isa.run(Product { tiles, memory, rows, depth, right, finish, out: to });
            }
            #[cfg(target_arch = "x86_64")]
            (Packed::Int8(right), Isa::Amx(amx)) => {
                let (tiles, memory) = (amx.configure(), &mut workspace.tiles_of_quads);
                isa.run(Product { tiles, memory, rows, depth, right, finish, out: to });
            }
            (Packed::F32(right), _) => {
                let Workspace { floats, sums, .. } = workspace;
                floats.fill(isa, count, depth, 1.0, row);
                product(isa, sums, floats, right, finish, to);
            }
            (Packed::Bf16(right), _) => {
                let Workspace { pairs, sums, .. } = workspace;
                pairs.fill(isa, count, depth, 1.0, row);
                product(isa, sums, pairs, right, finish, to);
            }
            (Packed::Int8(right), _) => {
                let Workspace { quads, integers, .. } = workspace;
                quads.fill(isa, count, depth, row);
                product_of_quads(isa, integers, quads, right, finish, to);
            }
        }
    }
}

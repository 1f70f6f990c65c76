//! Attention of the tokens of one sequence to one another.

use crate::matmul::{self, Finish, Left, Out, PANEL, Right, TILE, product};
use crate::rows::softmax;
use crate::simd::{Isa, Kernel, Simd};

mod near;

pub use near::{Bias, Grouped, Near, attend_near};

/// Queries whose scores are in memory at a time, so that memory grows with the length of a
/// sequence and not with its square.
const QUERIES: usize = 8 * TILE;

/// How wide the parts of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads.
    pub count: usize,
    /// Numbers of a head.
    pub width: usize,
}

impl Heads {
    /// Numbers of all heads.
    pub fn hidden(self) -> usize {
        self.count * self.width
    }
}

/// Memory for sequences, used again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    product: matmul::Scratch,
    left: Left,
    keys: Right,
    values: Right,
    scores: Vec<f32>,
}

/// Attends within one sequence: `qkv` has a row for each token, the query of each head, then the
/// keys, then the values; `out` gets a row for each token, of all heads side by side.
///
/// Each head is softmax(q kᵀ / √width) v. No token is masked: there is no padding.
pub fn attend(isa: Isa, scratch: &mut Scratch, heads: Heads, qkv: &[f32], out: &mut [f32]) {
    let (hidden, width) = (heads.hidden(), heads.width);
    let stride = 3 * hidden;
    if stride == 0 {
        return;
    }
    let tokens = qkv.len() / stride;
    let part = |token: usize, at: usize| {
        qkv.get(token * stride + at..token * stride + at + width).unwrap_or_default()
    };
    let scale = 1.0 / (width as f32).sqrt();
    let padded = tokens.div_ceil(PANEL) * PANEL;
    let Scratch { product: sums, left, keys, values, scores } = scratch;
    for head in 0..heads.count {
        let (query, key, value) = (head * width, hidden + head * width, 2 * hidden + head * width);
        keys.resize(tokens, width);
        values.resize(width, tokens);
        for token in 0..tokens {
            keys.set_column(token, part(token, key));
            values.set_step(token, part(token, value));
        }
        for first in (0..tokens).step_by(QUERIES) {
            let rows = QUERIES.min(tokens - first);
            left.fill(rows, width, scale, |row| part(first + row, query));
            scores.clear();
            scores.resize(rows * padded, 0.0);
            let to = Out { numbers: scores, stride: padded, offset: 0 };
            product(isa, sums, left, keys, Finish::Identity, to);
            isa.run(Softmax { scores, padded, tokens });
            left.fill(rows, tokens, 1.0, |row| {
                scores.get(row * padded..row * padded + tokens).unwrap_or_default()
            });
            let numbers = out.get_mut(first * hidden..).unwrap_or_default();
            let to = Out { numbers, stride: hidden, offset: query };
            product(isa, sums, left, values, Finish::Identity, to);
        }
    }
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    padded: usize,
    tokens: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.scores.chunks_exact_mut(self.padded.max(1)) {
            softmax(simd, row, self.tokens);
        }
    }
}

#[cfg(test)]
mod tests;

//! Attention of the tokens of one sequence to one another.

use std::ops::Range;

use crate::matmul::{self, Finish, Left, Numbers, Out, PANEL, Right, TILE, product};
use crate::rows::softmax;
use crate::simd::{Isa, Kernel, Simd};

mod cached;
mod near;

pub use cached::{Cache, attend_last};
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
#[derive(Debug)]
pub struct Scratch<W = f32> {
    product: matmul::Scratch,
    left: Left<W>,
    keys: Right<W>,
    values: Right<W>,
    line: Vec<W>,
    scores: Vec<f32>,
}

impl<W> Default for Scratch<W> {
    fn default() -> Self {
        Self {
            product: matmul::Scratch::default(),
            left: Left::default(),
            keys: Right::default(),
            values: Right::default(),
            line: Vec::new(),
            scores: Vec::new(),
        }
    }
}

/// Attends within one sequence: `qkv` has a row for each token, the query of each head, then the
/// keys, then the values; `out` gets a row for each token, of all heads side by side.
///
/// Each head is softmax(q kᵀ / √width) v, with products of words `W` and all else in floats. No token
/// is masked: there is no padding.
pub fn attend<W: Numbers>(
    isa: Isa,
    scratch: &mut Scratch<W>,
    heads: Heads,
    qkv: &[f32],
    out: &mut [f32],
) {
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
    let Scratch { product: sums, left, keys, values, line, scores } = scratch;
    for head in 0..heads.count {
        let (query, key, value) = (head * width, hidden + head * width, 2 * hidden + head * width);
        pack(keys, values, line, width, 0..tokens, |token| (part(token, key), part(token, value)));
        for first in (0..tokens).step_by(QUERIES) {
            let rows = QUERIES.min(tokens - first);
            left.fill(isa, rows, width, scale, |row| part(first + row, query));
            scores.clear();
            scores.resize(rows * padded, 0.0);
            let to = Out { numbers: scores, stride: padded, offset: 0 };
            product(isa, sums, left, keys, Finish::Identity, to);
            isa.run(Softmax { scores, padded, tokens });
            left.fill(isa, rows, tokens, 1.0, |row| {
                scores.get(row * padded..row * padded + tokens).unwrap_or_default()
            });
            let numbers = out.get_mut(first * hidden..).unwrap_or_default();
            let to = Out { numbers, stride: hidden, offset: query };
            product(isa, sums, left, values, Finish::Identity, to);
        }
    }
}

/// Packs the keys and the values of these tokens, of `width` numbers each.
fn pack<'a, W: Numbers>(
    keys: &mut Right<W>,
    values: &mut Right<W>,
    line: &mut Vec<W>,
    width: usize,
    tokens: Range<usize>,
    both: impl Fn(usize) -> (&'a [f32], &'a [f32]),
) {
    keys.resize(tokens.len(), width);
    values.resize(width, tokens.len());
    for (at, token) in tokens.clone().enumerate() {
        keys.set_column(at, both(token).0, line);
    }
    for (word, first) in tokens.clone().step_by(W::NUMBERS).enumerate() {
        // Of the tokens of a word the last one has no second.
        let of = |token| if token < tokens.end { both(token).1 } else { &[] };
        values.set_steps(word, &[of(first), of(first + 1)]);
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

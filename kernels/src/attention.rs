//! Attention of the tokens of one sequence to one another.

use crate::math::exp;
use crate::matmul::{self, Finish, Left, Numbers, Out, PANEL, Panel, Right, product};
use crate::simd::{Isa, Kernel, Simd};

mod cached;
mod near;

pub use cached::{Cache, attend_last};
use near::NearScratch;
pub use near::{Bias, Grouped, Near, attend_near};

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
    keys: Left<W>,
    queries: Right<W>,
    values: Left<W>,
    weights: Right<W>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
    line: Vec<W>,
    near: NearScratch<W>,
}

impl<W> Default for Scratch<W> {
    fn default() -> Self {
        Self {
            product: matmul::Scratch::default(),
            keys: Left::default(),
            queries: Right::default(),
            values: Left::default(),
            weights: Right::default(),
            scores: Vec::new(),
            mixed: Vec::new(),
            line: Vec::new(),
            near: NearScratch::default(),
        }
    }
}

/// Attends within one sequence: `qkv` has a row for each token, the query of each head, then the
/// keys, then the values; `out` gets a row for each token, of all heads side by side.
///
/// Each head is softmax(q kᵀ / √width) v, with products of words `W` and all else in floats. No token
/// is masked: there is no padding.
///
/// A panel of queries is computed at a time, the keys as rows and the queries as columns: a
/// register then holds the same key of many queries, sums go along registers, and weights come
/// out in the order in which the product with the values reads them. Memory grows with the length
/// of a sequence and not with its square.
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
    let Scratch { product: sums, keys, queries, values, weights, scores, mixed, line, .. } =
        scratch;
    for head in 0..heads.count {
        let (query, key, value) = (head * width, hidden + head * width, 2 * hidden + head * width);
        keys.fill(isa, tokens, width, scale, |token| part(token, key));
        values.fill_steps(isa, width, tokens, |token| part(token, value));
        for first in (0..tokens).step_by(PANEL) {
            let count = PANEL.min(tokens - first);
            queries.resize(count, width);
            for column in 0..count {
                queries.set_column(column, part(first + column, query), line);
            }
            multiply(isa, sums, keys, queries, tokens, scores);
            weights.resize(count, tokens);
            let mut totals = [0.0; PANEL];
            let words = weights.first_panel();
            isa.run(Weigh { scores: scores.as_chunks_mut().0, words, totals: &mut totals });
            multiply(isa, sums, values, weights, width, mixed);
            isa.run(Divide { numbers: mixed.as_chunks_mut().0, totals: &totals });
            let rows = out.get_mut(first * hidden..).unwrap_or_default().chunks_mut(hidden);
            for (row, column) in rows.zip(0..count) {
                let to = row.get_mut(query..query + width).unwrap_or_default();
                for (to, from) in to.iter_mut().zip(mixed.as_chunks::<PANEL>().0) {
                    *to = from[column];
                }
            }
        }
    }
}

/// Makes `out` the product of so many rows and the columns of one panel.
fn multiply<W: Numbers>(
    isa: Isa,
    scratch: &mut matmul::Scratch,
    left: &Left<W>,
    right: &Right<W>,
    rows: usize,
    out: &mut Vec<f32>,
) {
    // A product writes every number.
    out.resize(rows * PANEL, 0.0);
    let to = Out { numbers: out, stride: PANEL, offset: 0 };
    product(isa, scratch, left, right, Finish::Identity, to);
}

/// Makes weights of the scores of a panel of queries, a row for each key: exp(score - largest),
/// as words; `totals` gets their sum for each query.
struct Weigh<'a, W> {
    scores: &'a mut [[f32; PANEL]],
    words: &'a mut [Panel<W>],
    totals: &'a mut [f32; PANEL],
}

impl<W: Numbers> Kernel for Weigh<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { scores, words, totals } = self;
        for index in 0..PANEL / S::WIDTH {
            let mut largest = simd.splat(f32::NEG_INFINITY);
            for row in scores.iter() {
                largest = simd.max(largest, simd.load(row, index));
            }
            // A score that is NaN makes the sum NaN, and the row is rejected in the end.
            let mut total = simd.splat(0.0);
            for row in scores.iter_mut() {
                let weight = exp(simd, simd.sub(simd.load(row, index), largest));
                total = simd.add(total, weight);
                simd.store(row, index, weight);
            }
            simd.store(totals, index, total);
        }
        for (word, steps) in words.iter_mut().zip(scores.chunks(W::NUMBERS)) {
            W::join(&mut word.0, steps.first(), steps.get(1));
        }
    }
}

/// Divides each row by the totals of its columns.
struct Divide<'a> {
    numbers: &'a mut [[f32; PANEL]],
    totals: &'a [f32; PANEL],
}

impl Kernel for Divide<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for index in 0..PANEL / S::WIDTH {
            let total = simd.load(self.totals, index);
            for row in self.numbers.iter_mut() {
                let divided = simd.div(simd.load(row, index), total);
                simd.store(row, index, divided);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Attention that knows how far apart two tokens are: causal, within a window, or with a number
//! for each distance.

use std::ops::Range;

use super::{Heads, Scratch};
use crate::matmul::{self, Finish, Left, Numbers, Out, PANEL, Right, TILE, product};
use crate::rows::softmax;
use crate::simd::{Isa, Kernel, Simd};

/// Queries whose scores are in memory at a time: the keys that they see are packed for each of
/// these blocks.
const QUERIES: usize = 16 * TILE;

/// Memory for sequences, used again and again.
#[derive(Debug)]
pub(super) struct NearScratch<W> {
    product: matmul::Scratch,
    left: Left<W>,
    keys: Right<W>,
    values: Right<W>,
    line: Vec<W>,
    scores: Vec<f32>,
}

impl<W> Default for NearScratch<W> {
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

/// Heads of queries, several of which may share their keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouped {
    /// Heads of queries.
    pub heads: Heads,
    /// Heads of keys and of values, as wide; a divisor of the heads of queries.
    pub keys: usize,
}

impl Grouped {
    /// Numbers of a row: the query of each head, then the keys, then the values.
    pub fn stride(self) -> usize {
        self.heads.hidden() + 2 * self.keys * self.heads.width
    }
}

/// Which tokens a token looks at, and what their distance is worth.
#[derive(Debug, Default)]
pub struct Near {
    /// How far back; to the first token if absent.
    pub back: Option<usize>,
    /// How far ahead; to the last token if absent.
    pub ahead: Option<usize>,
    /// What is added to scores; nothing if absent.
    pub bias: Option<Bias>,
}

/// A number for each distance and head.
#[derive(Debug)]
pub struct Bias {
    reach: usize,
    numbers: Vec<f32>,
}

impl Bias {
    /// For each head, `numbers` has one for each distance key - query from `-reach` to `reach`;
    /// those of larger distances are the first and the last.
    pub fn new(reach: usize, numbers: Vec<f32>) -> Self {
        Self { reach, numbers }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.numbers)
    }

    /// Adds to the scores of a query for keys from `begin` on.
    fn add(&self, head: usize, query: usize, begin: usize, scores: &mut [f32]) {
        let width = 2 * self.reach + 1;
        let own = self.numbers.get(head * width..(head + 1) * width).unwrap_or_default();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return };
        // Scores of keys below `query - reach`, then those within reach, then those beyond.
        let lowest = query.saturating_sub(self.reach).max(begin);
        let far = (lowest - begin).min(scores.len());
        let (before, rest) = scores.split_at_mut(far);
        before.iter_mut().for_each(|score| *score += first);
        let skipped = (lowest + self.reach).saturating_sub(query);
        let near = own.get(skipped..).unwrap_or_default();
        let within = near.len().min(rest.len());
        let (middle, after) = rest.split_at_mut(within);
        middle.iter_mut().zip(near).for_each(|(score, bias)| *score += bias);
        after.iter_mut().for_each(|score| *score += last);
    }
}

/// Attends within one sequence: `qkv` has a row of [`Grouped::stride`] numbers for each token;
/// `out` gets a row for each token, of all heads of queries side by side.
///
/// Each head is softmax(q kᵀ / √width + bias) v over the tokens that `near` allows, of which a
/// token itself is always one.
pub fn attend_near<W: Numbers>(
    isa: Isa,
    scratch: &mut Scratch<W>,
    grouped: Grouped,
    near: &Near,
    qkv: &[f32],
    out: &mut [f32],
) {
    let Grouped { heads, keys: groups } = grouped;
    let (hidden, width, stride) = (heads.hidden(), heads.width, grouped.stride());
    if hidden == 0 || groups == 0 {
        return;
    }
    let tokens = qkv.len() / stride;
    let part = |token: usize, at: usize| {
        qkv.get(token * stride + at..token * stride + at + width).unwrap_or_default()
    };
    let scale = 1.0 / (width as f32).sqrt();
    let sharing = heads.count / groups;
    let NearScratch { product: sums, left, keys, values, line, scores } = &mut scratch.near;
    for group in 0..groups {
        let (key, value) = (hidden + group * width, hidden + (groups + group) * width);
        let mut packed = 0..0;
        for first in (0..tokens).step_by(QUERIES) {
            let rows = QUERIES.min(tokens - first);
            let begin = near.back.map_or(0, |back| first.saturating_sub(back));
            let end = near.ahead.map_or(tokens, |ahead| (first + rows + ahead).min(tokens));
            let count = end - begin;
            if packed != (begin..end) {
                packed = begin..end;
                pack(keys, values, line, width, packed.clone(), |token| {
                    (part(token, key), part(token, value))
                });
            }
            let padded = count.div_ceil(PANEL) * PANEL;
            for head in group * sharing..(group + 1) * sharing {
                left.fill(isa, rows, width, scale, |row| part(first + row, head * width));
                scores.clear();
                scores.resize(rows * padded, 0.0);
                let to = Out { numbers: scores, stride: padded, offset: 0 };
                product(isa, sums, left, keys, Finish::Identity, to);
                isa.run(Softmax { near, scores, padded, count, head, first, begin });
                left.fill(isa, rows, count, 1.0, |row| {
                    scores.get(row * padded..row * padded + count).unwrap_or_default()
                });
                let numbers = out.get_mut(first * hidden..).unwrap_or_default();
                let to = Out { numbers, stride: hidden, offset: head * width };
                product(isa, sums, left, values, Finish::Identity, to);
            }
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

/// Scores of the queries from `first` on for `count` keys from `begin` on.
struct Softmax<'a> {
    near: &'a Near,
    scores: &'a mut [f32],
    padded: usize,
    count: usize,
    head: usize,
    first: usize,
    begin: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { near, scores, padded, count, head, first, begin } = self;
        for (row, query) in scores.chunks_exact_mut(padded.max(1)).zip(first..) {
            if let (Some(bias), Some(row)) = (&near.bias, row.get_mut(..count)) {
                bias.add(head, query, begin, row);
            }
            let from = near.back.map_or(0, |back| query.saturating_sub(back).saturating_sub(begin));
            let to = near.ahead.map_or(count, |ahead| (query + ahead + 1 - begin).min(count));
            hide(row, from, to, count, f32::NEG_INFINITY);
            softmax(simd, row, count);
            // What was hidden is exp(-87) of the largest, which no sum noticed, and not 0.
            hide(row, from, to, count, 0.0);
        }
    }
}

/// Overwrites the first `count` numbers of `row` outside of `from..to`.
#[inline(always)]
fn hide(row: &mut [f32], from: usize, to: usize, count: usize, by: f32) {
    row.get_mut(..from).unwrap_or_default().fill(by);
    row.get_mut(to..count).unwrap_or_default().fill(by);
}

#[cfg(test)]
mod tests;

//! Attention of the last token of a sequence to all before it, whose keys and values are kept.

use super::Grouped;
use crate::matmul::PANEL;
use crate::rows::softmax;
use crate::simd::{Isa, Kernel, Simd};

/// Keys and values of the tokens of a sequence so far, in a layer.
///
/// Keys lie as a product reads them: of 32 tokens the first number of each, then the second.
/// Values lie token by token.
#[derive(Debug)]
pub struct Cache {
    grouped: Grouped,
    tokens: usize,
    heads: Vec<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: Vec<[f32; PANEL]>,
    values: Vec<[f32; PANEL]>,
}

impl Cache {
    /// A cache with room for `tokens` tokens; more make it grow.
    pub fn new(grouped: Grouped, tokens: usize) -> Self {
        let width = grouped.heads.width;
        let kept = || Kept {
            keys: Vec::with_capacity(tokens.div_ceil(PANEL) * width),
            values: Vec::with_capacity(tokens * width.div_ceil(PANEL)),
        };
        Self { grouped, tokens: 0, heads: (0..grouped.keys).map(|_| kept()).collect() }
    }

    /// Bytes of so many tokens.
    pub fn bytes(grouped: Grouped, tokens: usize) -> usize {
        let width = grouped.heads.width;
        let panels = tokens.div_ceil(PANEL) * width + tokens * width.div_ceil(PANEL);
        grouped.keys * panels * size_of::<[f32; PANEL]>()
    }

    /// Adds a token: `row` has [`Grouped::stride`] numbers, of which keys and values are kept.
    pub fn push(&mut self, row: &[f32]) {
        let Grouped { heads, keys: groups } = self.grouped;
        let width = heads.width;
        let part = |at: usize| row.get(at..at + width).unwrap_or_default();
        let lane = self.tokens % PANEL;
        for (group, kept) in self.heads.iter_mut().enumerate() {
            let key = heads.hidden() + group * width;
            if lane == 0 {
                kept.keys.resize(kept.keys.len() + width, [0.0; PANEL]);
            }
            let first = kept.keys.len() - width;
            let panels = kept.keys.get_mut(first..).unwrap_or_default();
            for (panel, number) in panels.iter_mut().zip(part(key)) {
                panel[lane] = *number;
            }
            for numbers in part(key + groups * width).chunks(PANEL) {
                let mut panel = [0.0; PANEL];
                panel.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from);
                kept.values.push(panel);
            }
        }
        self.tokens += 1;
    }
}

/// Attends from the token of `row`, which was [pushed](Cache::push) last, to all of `cache`; `out`
/// gets all heads of queries side by side.
///
/// Sums are chains in the order of tokens and numbers, as those of
/// [`attend_near`](super::attend_near) in floats: the bits are the same.
pub fn attend_last(isa: Isa, scores: &mut Vec<f32>, cache: &Cache, row: &[f32], out: &mut [f32]) {
    isa.run(Last { scores, cache, row, out });
}

struct Last<'a> {
    scores: &'a mut Vec<f32>,
    cache: &'a Cache,
    row: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Last<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { scores, cache, row, out } = self;
        let Grouped { heads, keys } = cache.grouped;
        let width = heads.width;
        let scale = 1.0 / (width as f32).sqrt();
        let sharing = heads.count / keys.max(1);
        let queries = row.chunks_exact(width.max(1)).zip(out.chunks_exact_mut(width.max(1)));
        for (head, (query, out)) in queries.take(heads.count).enumerate() {
            let Some(kept) = cache.heads.get(head / sharing.max(1)) else { continue };
            scores.clear();
            for panels in kept.keys.chunks_exact(width.max(1)) {
                let mut sums = [0.0; PANEL];
                for (number, panel) in query.iter().zip(panels) {
                    let number = simd.splat(number * scale);
                    for index in 0..PANEL / S::WIDTH {
                        let key = simd.load(panel, index);
                        let sum = simd.fma(number, key, simd.load(&sums, index));
                        simd.store(&mut sums, index, sum);
                    }
                }
                scores.extend_from_slice(&sums);
            }
            softmax(simd, scores, cache.tokens);
            let panels = width.div_ceil(PANEL);
            for (at, out) in out.chunks_mut(PANEL).enumerate() {
                let mut sums = [0.0; PANEL];
                for (score, values) in scores.iter().zip(kept.values.chunks_exact(panels.max(1))) {
                    let Some(values) = values.get(at) else { continue };
                    let score = simd.splat(*score);
                    for index in 0..PANEL / S::WIDTH {
                        let value = simd.load(values, index);
                        let sum = simd.fma(score, value, simd.load(&sums, index));
                        simd.store(&mut sums, index, sum);
                    }
                }
                out.iter_mut().zip(&sums).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{Heads, Near, Scratch, attend_near};
    use crate::matmul::tests::numbers;

    #[test]
    fn each_token_has_the_bits_that_it_has_in_the_whole() {
        for (count, keys, width) in [(4, 2, 16), (9, 3, 64), (2, 2, 5), (3, 1, 40)] {
            let grouped = Grouped { heads: Heads { count, width }, keys };
            let (tokens, stride, inner) = (70, grouped.stride(), grouped.heads.hidden());
            let qkv = numbers(11 + count as u64, tokens * stride);
            for isa in Isa::available() {
                let mut whole = vec![0.0; tokens * inner];
                let near = Near { back: None, ahead: Some(0), bias: None };
                attend_near(isa, &mut Scratch::<f32>::default(), grouped, &near, &qkv, &mut whole);
                let (mut cache, mut scores) = (Cache::new(grouped, 3), Vec::new());
                for (row, whole) in qkv.chunks(stride).zip(whole.chunks(inner)) {
                    cache.push(row);
                    let mut out = vec![f32::NAN; inner];
                    attend_last(isa, &mut scores, &cache, row, &mut out);
                    let same = out.iter().zip(whole).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{isa:?} token {}: {out:?} for {whole:?}", cache.tokens);
                }
            }
        }
    }
}

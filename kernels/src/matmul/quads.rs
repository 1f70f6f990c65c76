//! Products of integers of eight bits: rows are rounded as they come, columns once.
//!
//! A row x becomes q = round(x / s) with s = max |x| / 127, so that it depends on itself alone; a
//! column of weights likewise. What is multiplied is q + 128, which has no sign, as the
//! instructions want it: 128 × the sum of the column is taken off again. Sums are integers and
//! therefore exact, and the number that is written is sum × s(row) × s(column) + bias.

use super::packed::spread;
use super::{Finish, Left, Out, PANEL, Panel, Right, Scratch, Sums, TILE, apply, sum};
use crate::dot::{Dot, DotKernel, Quad, Word};
use crate::simd::Isa;

/// The largest integer of eight bits that a number becomes.
const LARGEST: f32 = 127.0;
/// What makes an integer one without sign.
const ZERO: i32 = 128;

/// Rows of integers, and the scale of each.
#[derive(Debug, Default)]
pub struct LeftQuads {
    words: Left<Quad>,
    scales: Vec<f32>,
    bytes: Vec<u8>,
}

/// Columns of integers, and the scale of each.
#[derive(Debug, Default)]
pub struct RightQuads {
    pub(super) words: Right<Quad>,
    scales: Vec<Panel<f32>>,
    /// 128 × the sum of a column.
    zeros: Vec<Panel<i32>>,
}

impl LeftQuads {
    /// Takes rows of `depth` numbers, each what `row` says for it (0 where that is too short).
    /// Memory is kept from call to call.
    pub fn fill<'a>(
        &mut self,
        isa: Isa,
        rows: usize,
        depth: usize,
        row: impl Fn(usize) -> &'a [f32],
    ) {
        let Self { words, scales, bytes } = self;
        scales.clear();
        words.fill_words(
            isa,
            rows,
            depth,
            #[inline(always)]
            |at, words| {
                let numbers = row(at);
                let numbers = numbers.get(..depth).unwrap_or(numbers);
                scales.push(round_row(numbers, bytes, words));
            },
        );
    }
}

/// Appends the words of a row of numbers to `words`, and gives its scale. `bytes` is memory that is
/// used again. What is missing in a row meets only zeros in the columns.
#[inline(always)]
pub(super) fn round_row(numbers: &[f32], bytes: &mut Vec<u8>, words: &mut Vec<Quad>) -> f32 {
    let scale = scale(numbers);
    let inverse = 1.0 / scale;
    bytes.clear();
    bytes.extend(numbers.iter().map(|number| round(*number, inverse) ^ 0x80));
    words.extend(quads(bytes));
    scale
}

impl RightQuads {
    /// Packs a weight matrix `[columns, depth]`, row-major, and the bias of each column (0 where
    /// `bias` is too short).
    pub fn of_weights(columns: usize, depth: usize, weights: &[f32], bias: &[f32]) -> Self {
        let mut words = Right::default();
        words.resize(columns, depth);
        let (mut scales, mut zeros, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (column, numbers) in weights.chunks_exact(depth.max(1)).take(columns).enumerate() {
            let scale = scale(numbers);
            bytes.clear();
            bytes.extend(numbers.iter().map(|number| round(*number, 1.0 / scale)));
            let sum: i32 = bytes.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
            words.set_words(column, quads(&bytes));
            scales.push(scale);
            zeros.push(ZERO * sum);
        }
        words.set_bias(bias);
        Self { scales: spread(columns, &scales), zeros: spread(columns, &zeros), words }
    }

    /// What the columns of the panel at position `at` stand for.
    #[inline(always)]
    pub(super) fn scaled(&self, at: usize) -> Scaled<'_> {
        const NOTHING: &Scaled<'_> = &Scaled {
            scales: &Panel([0.0; PANEL]),
            zeros: &Panel([0; PANEL]),
            bias: &Panel([0.0; PANEL]),
        };
        let columns = self.scales.get(at).zip(self.zeros.get(at)).zip(self.words.bias.get(at));
        columns.map_or(*NOTHING, |((scales, zeros), bias)| Scaled { scales, zeros, bias })
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.words.columns()
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.words.bytes() + size_of_val(&*self.scales) + size_of_val(&*self.zeros)
    }
}

/// The columns of a panel: their scales, what is taken off their sums, and their bias.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a> {
    scales: &'a Panel<f32>,
    zeros: &'a Panel<i32>,
    bias: &'a Panel<f32>,
}

impl Scaled<'_> {
    /// What sums stand for, of the row of scale `own`.
    #[inline(always)]
    pub(super) fn numbers(self, sums: &Panel<i32>, own: f32) -> Panel<f32> {
        let mut numbers = Panel::default();
        for lane in 0..PANEL {
            let sum = sums.0[lane].wrapping_sub(self.zeros.0[lane]) as f32;
            numbers.0[lane] = sum.mul_add(own * self.scales.0[lane], self.bias.0[lane]);
        }
        numbers
    }
}

/// What an integer stands for: the largest number of `numbers` over 127; 1 where all are 0, and
/// no number where one of them is none, so that all that is made of them is none.
#[inline(always)]
fn scale(numbers: &[f32]) -> f32 {
    // The bits of numbers without sign are in their order, with infinity and NaN at the end.
    let largest = numbers.iter().map(|number| number.abs().to_bits()).max().unwrap_or(0);
    match f32::from_bits(largest) {
        0.0 => 1.0,
        largest if largest.is_finite() => largest / LARGEST,
        _ => f32::NAN,
    }
}

/// The integer nearest to number × inverse, the even one between two: within ±127 by the scale.
#[inline(always)]
fn round(number: f32, inverse: f32) -> u8 {
    // Adding 1.5 × 2²³ rounds to an integer, which the low bits then hold. What is no number does
    // not matter: the scale of its row is none.
    const ROUND: f32 = 12_582_912.0;
    number.mul_add(inverse, ROUND).to_bits() as u8
}

/// The words of integers.
#[inline(always)]
fn quads(bytes: &[u8]) -> impl Iterator<Item = Quad> {
    let (words, rest) = bytes.as_chunks::<{ Quad::NUMBERS }>();
    let mut last = [0; Quad::NUMBERS];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let last = (!rest.is_empty()).then_some(last);
    words.iter().copied().chain(last).map(|word| Quad(u32::from_le_bytes(word)))
}

/// `out` = finish(`left` × `right` + bias). Rows and columns beyond the end of `out` are left out.
pub fn product_of_quads(
    isa: Isa,
    scratch: &mut Scratch<i32>,
    left: &LeftQuads,
    right: &RightQuads,
    finish: Finish,
    out: Out<'_>,
) {
    Quad::run(isa, Product { scratch, left, right, finish, out });
}

struct Product<'a> {
    scratch: &'a mut Scratch<i32>,
    left: &'a LeftQuads,
    right: &'a RightQuads,
    finish: Finish,
    out: Out<'a>,
}

impl DotKernel<Quad> for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Dot<Quad, Sum = i32>>(self, simd: S) {
        let Self { scratch, left, right, finish, out } = self;
        let words = &right.words;
        for (tiles, first) in left.words.groups() {
            for (panel, from) in words.panels_from() {
                let (columns, width) =
                    (right.scaled(from / PANEL), PANEL.min(words.columns - from));
                let (sums, depth) = (&mut scratch.sums, words.depth);
                sum(
                    simd,
                    sums,
                    depth,
                    tiles,
                    panel,
                    Panel::default(),
                    #[inline(always)]
                    |tile: usize, sums: &mut Sums<i32>| {
                        for (sums, row) in sums.iter().zip(first + tile * TILE..left.words.rows) {
                            let own = left.scales.get(row).copied().unwrap_or(f32::NAN);
                            let mut numbers = columns.numbers(sums, own);
                            apply(simd, finish, &mut numbers);
                            let start = row * out.stride + out.offset + from;
                            if let Some(to) = out.numbers.get_mut(start..start + width) {
                                to.copy_from_slice(numbers.0.get(..width).unwrap_or_default());
                            }
                        }
                    },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;

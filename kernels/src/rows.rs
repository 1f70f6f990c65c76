//! What a transformer does to single rows: layer norm and softmax.
//!
//! Sums over a row are taken in 32 lanes, lane by lane in order, and then folded in halves, on
//! every instruction set alike.

use crate::math::exp;
use crate::simd::{Isa, Kernel, Simd};

mod root;

pub use root::RootNorm;

/// Lanes of a sum over a row.
const LANES: usize = 32;

/// Weights of a layer norm.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<[f32; LANES]>,
    bias: Vec<[f32; LANES]>,
    width: usize,
    epsilon: f32,
}

impl LayerNorm {
    /// A norm of rows as wide as `weight` and `bias`.
    pub fn new(weight: &[f32], bias: &[f32], epsilon: f32) -> Self {
        let packed = |numbers: &[f32]| numbers.chunks(LANES).map(padded).collect();
        Self { weight: packed(weight), bias: packed(bias), width: weight.len(), epsilon }
    }

    /// Normalises each row of `rows`, after adding the same row of `residual` to it, where there
    /// is one: (x - mean) / √(variance + ε) × weight + bias.
    pub fn apply(&self, isa: Isa, rows: &mut [f32], residual: &[f32]) {
        isa.run(Norm { norm: self, rows, residual });
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.weight) + size_of_val(&*self.bias)
    }
}

/// The numbers of `chunk`, and 0 after them.
#[inline(always)]
fn padded(chunk: &[f32]) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    for (to, from) in lanes.iter_mut().zip(chunk) {
        *to = *from;
    }
    lanes
}

/// The sum of all lanes: halves are added until one is left.
#[inline(always)]
fn fold(mut lanes: [f32; LANES], with: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = with(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

struct Norm<'a> {
    norm: &'a LayerNorm,
    rows: &'a mut [f32],
    residual: &'a [f32],
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.norm.width.max(1);
        let mut residual = self.residual.chunks_exact(width);
        for row in self.rows.chunks_exact_mut(width) {
            normalise(simd, self.norm, row, residual.next().unwrap_or_default());
        }
    }
}

/// Hands over the numbers of `row`, 32 at a time: at the end 0 stands for those that are missing.
#[inline(always)]
fn each(row: &mut [f32], mut with: impl FnMut(usize, &mut [f32; LANES])) {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    let count = whole.len();
    for (at, lanes) in whole.iter_mut().enumerate() {
        with(at, lanes);
    }
    if !rest.is_empty() {
        let mut lanes = padded(rest);
        with(count, &mut lanes);
        for (to, from) in rest.iter_mut().zip(&lanes) {
            *to = *from;
        }
    }
}

#[inline(always)]
fn normalise<S: Simd>(simd: S, norm: &LayerNorm, row: &mut [f32], residual: &[f32]) {
    let width = row.len();
    for (to, from) in row.iter_mut().zip(residual) {
        *to += from;
    }
    let mut sums = [0.0; LANES];
    each(
        row,
        #[inline(always)]
        |_, lanes| {
            for index in 0..LANES / S::WIDTH {
                let sum = simd.add(simd.load(&sums, index), simd.load(lanes, index));
                simd.store(&mut sums, index, sum);
            }
        },
    );
    let mean = fold(sums, |a, b| a + b) / width as f32;
    for x in row.iter_mut() {
        *x -= mean;
    }
    let squares = squares(simd, row);
    let variance = fold(squares, |a, b| a + b) / width as f32;
    let scale = simd.splat(1.0 / (variance + norm.epsilon).sqrt());
    each(
        row,
        #[inline(always)]
        |at, lanes| {
            let (Some(weight), Some(bias)) = (norm.weight.get(at), norm.bias.get(at)) else {
                return;
            };
            for index in 0..LANES / S::WIDTH {
                let x = simd.mul(simd.load(lanes, index), scale);
                let y = simd.fma(x, simd.load(weight, index), simd.load(bias, index));
                simd.store(lanes, index, y);
            }
        },
    );
}

/// The sums of the squares of a row, lane by lane.
#[inline(always)]
fn squares<S: Simd>(simd: S, row: &mut [f32]) -> [f32; LANES] {
    let mut squares = [0.0; LANES];
    each(
        row,
        #[inline(always)]
        |_, lanes| {
            for index in 0..LANES / S::WIDTH {
                let x = simd.load(lanes, index);
                let sum = simd.fma(x, x, simd.load(&squares, index));
                simd.store(&mut squares, index, sum);
            }
        },
    );
    squares
}

/// Replaces `scores` by exp(x × scale), each over the sum of all.
pub fn shares(isa: Isa, scores: &mut Vec<f32>, scale: f32) {
    struct Shares<'a>(&'a mut [f32], usize);
    impl Kernel for Shares<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            softmax(simd, self.0, self.1);
        }
    }
    let count = scores.len();
    scores.iter_mut().for_each(|score| *score *= scale);
    scores.resize(count.div_ceil(LANES) * LANES, 0.0);
    isa.run(Shares(scores, count));
    scores.truncate(count);
}

/// Replaces the first `count` numbers of `row` by exp(x - largest) over its sum, and the rest of
/// it by 0. The row's length is a multiple of 32.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(simd: S, row: &mut [f32], count: usize) {
    if let Some(rest) = row.get_mut(count..) {
        rest.fill(f32::NEG_INFINITY);
    }
    let chunks = row.as_chunks_mut::<LANES>().0;
    let mut largest = [f32::NEG_INFINITY; LANES];
    for chunk in chunks.iter() {
        for index in 0..LANES / S::WIDTH {
            // In this order NaN stays NaN, and the row is rejected in the end.
            let max = simd.max(simd.load(&largest, index), simd.load(chunk, index));
            simd.store(&mut largest, index, max);
        }
    }
    let largest = simd.splat(fold(largest, f32::max));
    let mut sums = [0.0; LANES];
    for chunk in chunks.iter_mut() {
        for index in 0..LANES / S::WIDTH {
            let y = exp(simd, simd.sub(simd.load(chunk, index), largest));
            simd.store(chunk, index, y);
        }
    }
    // What was filled in is exp(-87), not 0.
    if let Some(rest) = chunks.as_flattened_mut().get_mut(count..) {
        rest.fill(0.0);
    }
    for chunk in chunks.iter() {
        for index in 0..LANES / S::WIDTH {
            let sum = simd.add(simd.load(&sums, index), simd.load(chunk, index));
            simd.store(&mut sums, index, sum);
        }
    }
    let scale = simd.splat(1.0 / fold(sums, |a, b| a + b));
    for chunk in chunks.iter_mut() {
        for index in 0..LANES / S::WIDTH {
            let y = simd.mul(simd.load(chunk, index), scale);
            simd.store(chunk, index, y);
        }
    }
}

#[cfg(test)]
mod tests;

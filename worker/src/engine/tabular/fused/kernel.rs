//! The computation of a block, written once for every instruction set.

use nightshift_kernels::math::{exp, sigmoid};
use nightshift_kernels::simd::{Kernel, Simd};

use super::math::activate;
use super::{BlockResults, Finish, Fused, PackedLayer, Scratch, UNITS};
use crate::engine::tabular::block::{BLOCK_ROWS, Lanes};
use crate::engine::tabular::config::Activation;

/// Registers of a [`Lanes`].
#[inline(always)]
fn registers<S: Simd>() -> usize {
    BLOCK_ROWS / S::WIDTH
}

/// All layers and outputs; see [`Fused::forward`].
pub(super) struct Forward<'m, 's> {
    pub(super) model: &'m Fused,
    pub(super) scratch: &'s mut Scratch,
}

impl<'s> Kernel for Forward<'_, 's> {
    type Output = BlockResults<'s>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Scratch { inputs, units: [even, odd], labels } = self.scratch;
        let (mut to, mut other) = (even, odd);
        let mut layers = self.model.layers.iter();
        if let Some(first) = layers.next() {
            dense(simd, inputs, first, to.as_chunks_mut().0);
        }
        for layer in layers {
            std::mem::swap(&mut to, &mut other);
            let inputs = other.get(..layer.inputs).unwrap_or_default();
            dense(simd, inputs, layer, to.as_chunks_mut().0);
        }
        for &step in &self.model.finish {
            finish(simd, step, to, labels);
        }
        (to, labels)
    }
}

/// One layer: `out` = activation(weights × `inputs` + bias), in tiles whose sums all stay in
/// registers: of 32 registers a tile takes 16 for sums, 4 for inputs and 1 for a weight, of 16
/// it takes 8, 2 and 1.
#[inline(always)]
fn dense<S: Simd>(simd: S, inputs: &[Lanes], layer: &PackedLayer, out: &mut [[Lanes; UNITS]]) {
    // With this floor the maximum is the sum itself.
    let floor = if layer.activation == Activation::Relu { 0.0 } else { f32::NEG_INFINITY };
    let panels = layer.weights.chunks_exact(layer.inputs.max(1)).zip(&layer.bias);
    for ((panel, bias), out) in panels.zip(out) {
        for first in (0..registers::<S>()).step_by(if S::MANY { 4 } else { 2 }) {
            if S::MANY {
                tile::<S, 4>(simd, inputs, panel, bias, simd.splat(floor), out, first);
            } else {
                tile::<S, 2>(simd, inputs, panel, bias, simd.splat(floor), out, first);
            }
        }
        if matches!(layer.activation, Activation::Gelu | Activation::Tanh) {
            for lanes in out {
                for index in 0..registers::<S>() {
                    let y = activate(simd, layer.activation, simd.load(&lanes.0, index));
                    simd.store(&mut lanes.0, index, y);
                }
            }
        }
    }
}

/// The sums of [`UNITS`] units for the `T` registers from `first` on, not below `floor`.
///
/// Every loop but the one over the inputs has a constant length and constant indexes, so that
/// the compiler unrolls it and `sums` never lies in memory.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "iterators over the sums keep them in memory")]
fn tile<S: Simd, const T: usize>(
    simd: S,
    inputs: &[Lanes],
    panel: &[[f32; UNITS]],
    bias: &[f32; UNITS],
    floor: S::F,
    out: &mut [Lanes; UNITS],
    first: usize,
) {
    let mut sums = [[floor; T]; UNITS];
    for unit in 0..UNITS {
        sums[unit] = [simd.splat(bias[unit]); T];
    }
    for (input, weights) in inputs.iter().zip(panel) {
        let mut registers = [floor; T];
        for index in 0..T {
            registers[index] = simd.load(&input.0, first + index);
        }
        for unit in 0..UNITS {
            let weight = simd.splat(weights[unit]);
            for index in 0..T {
                sums[unit][index] = simd.fma(weight, registers[index], sums[unit][index]);
            }
        }
    }
    for unit in 0..UNITS {
        for index in 0..T {
            // In this order NaN stays NaN, and the row is rejected in the end.
            simd.store(&mut out[unit].0, first + index, simd.max(floor, sums[unit][index]));
        }
    }
}

/// Turns the logits of one output into what it says.
#[inline(always)]
fn finish<S: Simd>(simd: S, step: Finish, logits: &mut [Lanes], labels: &mut [[u32; BLOCK_ROWS]]) {
    match step {
        Finish::Affine { at, scale, mean } => {
            if let Some(logit) = logits.get_mut(at) {
                for index in 0..registers::<S>() {
                    let y = simd.load(&logit.0, index);
                    let y = simd.fma(y, simd.splat(scale), simd.splat(mean));
                    simd.store(&mut logit.0, index, y);
                }
            }
        }
        Finish::Sigmoid { at } => {
            if let Some(logit) = logits.get_mut(at) {
                for index in 0..registers::<S>() {
                    let y = sigmoid(simd, simd.load(&logit.0, index));
                    simd.store(&mut logit.0, index, y);
                }
            }
        }
        Finish::Softmax { at, count, label } => {
            if let Some(logits) = logits.get_mut(at..at + count) {
                if let Some(label) = labels.get_mut(label) {
                    likeliest(logits, label);
                }
                softmax(simd, logits);
            }
        }
    }
}

/// The position of the largest logit of each row, the first of equal ones.
#[inline(always)]
fn likeliest(logits: &[Lanes], label: &mut [u32; BLOCK_ROWS]) {
    let Some((first, rest)) = logits.split_first() else { return };
    let mut best = *first;
    *label = [0; BLOCK_ROWS];
    for (logit, position) in rest.iter().zip(1..) {
        for ((best, label), &logit) in best.0.iter_mut().zip(label.iter_mut()).zip(&logit.0) {
            let better = logit > *best;
            *best = if better { logit } else { *best };
            *label = if better { position } else { *label };
        }
    }
}

/// exp(logit - largest) over its sum, for each row.
#[inline(always)]
fn softmax<S: Simd>(simd: S, logits: &mut [Lanes]) {
    for index in 0..registers::<S>() {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        for logit in logits.iter() {
            largest = simd.max(largest, simd.load(&logit.0, index));
        }
        let mut sum = simd.splat(0.0);
        for logit in logits.iter_mut() {
            let exp = exp(simd, simd.sub(simd.load(&logit.0, index), largest));
            sum = simd.add(sum, exp);
            simd.store(&mut logit.0, index, exp);
        }
        for logit in logits.iter_mut() {
            let probability = simd.div(simd.load(&logit.0, index), sum);
            simd.store(&mut logit.0, index, probability);
        }
    }
}

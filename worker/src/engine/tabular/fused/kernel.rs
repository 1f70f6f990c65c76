//! The computation of a block, written once for every instruction set.

use super::math::{activate, exp, sigmoid};
use super::simd::{Kernel, Simd};
use super::{BlockResults, Finish, Fused, PackedLayer, Scratch, UNITS};
use crate::engine::tabular::block::{BLOCK_ROWS, Lanes};

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
            simd.dense(inputs, first, to.as_chunks_mut().0);
        }
        for layer in layers {
            std::mem::swap(&mut to, &mut other);
            simd.dense(other.get(..layer.inputs).unwrap_or_default(), layer, to.as_chunks_mut().0);
        }
        for &step in &self.model.finish {
            finish(simd, step, to, labels);
        }
        (to, labels)
    }
}

/// One layer: `out` = activation(weights × `inputs` + bias), in tiles of [`UNITS`] units and `T`
/// registers, whose sums all stay in registers.
#[inline(always)]
pub(super) fn dense<S: Simd, const T: usize>(
    simd: S,
    inputs: &[Lanes],
    layer: &PackedLayer,
    out: &mut [[Lanes; UNITS]],
) {
    let panels = layer.weights.chunks_exact(layer.inputs.max(1)).zip(&layer.bias);
    for ((panel, bias), out) in panels.zip(out) {
        for first in (0..S::REGISTERS).step_by(T) {
            let mut sums = [[simd.splat(0.0); T]; UNITS];
            for (sums, &bias) in sums.iter_mut().zip(bias) {
                *sums = [simd.splat(bias); T];
            }
            for (input, weights) in inputs.iter().zip(panel) {
                let mut registers = [simd.splat(0.0); T];
                for (index, register) in registers.iter_mut().enumerate() {
                    *register = simd.load(input, first + index);
                }
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat(weight);
                    for (sum, &register) in sums.iter_mut().zip(&registers) {
                        *sum = simd.fma(weight, register, *sum);
                    }
                }
            }
            for (out, sums) in out.iter_mut().zip(&sums) {
                for (index, &sum) in sums.iter().enumerate() {
                    simd.store(out, first + index, activate(simd, layer.activation, sum));
                }
            }
        }
    }
}

/// Turns the logits of one output into what it says.
#[inline(always)]
fn finish<S: Simd>(simd: S, step: Finish, logits: &mut [Lanes], labels: &mut [[u32; BLOCK_ROWS]]) {
    match step {
        Finish::Affine { at, scale, mean } => {
            if let Some(logit) = logits.get_mut(at) {
                for index in 0..S::REGISTERS {
                    let y = simd.load(logit, index);
                    let y = simd.fma(y, simd.splat(scale), simd.splat(mean));
                    simd.store(logit, index, y);
                }
            }
        }
        Finish::Sigmoid { at } => {
            if let Some(logit) = logits.get_mut(at) {
                for index in 0..S::REGISTERS {
                    simd.store(logit, index, sigmoid(simd, simd.load(logit, index)));
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
    for index in 0..S::REGISTERS {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        for logit in logits.iter() {
            largest = simd.max(largest, simd.load(logit, index));
        }
        let mut sum = simd.splat(0.0);
        for logit in logits.iter_mut() {
            let exp = exp(simd, simd.sub(simd.load(logit, index), largest));
            sum = simd.add(sum, exp);
            simd.store(logit, index, exp);
        }
        for logit in logits.iter_mut() {
            let probability = simd.div(simd.load(logit, index), sum);
            simd.store(logit, index, probability);
        }
    }
}

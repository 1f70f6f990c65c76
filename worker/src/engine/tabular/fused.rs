//! The model as one pass over a block of 64 rows, for the CPU.
//!
//! Quantities lie feature-major: one [`Lanes`] of 64 rows for each input, unit and logit, so a
//! register holds the same quantity of several rows and a row never meets its neighbours. Every
//! sum starts with the bias and adds the inputs in order with fused multiply-adds, whatever the
//! instruction set. A row therefore has the same bits alone, in any batch and with any of them.
//!
//! Weights are packed once, at load: [`UNITS`] units side by side for each input, which is the
//! order in which the kernel reads them. Scratch memory is made once per call of the engine; a
//! block allocates nothing.

use std::collections::HashMap;

use candle_core::Tensor;
use nightshift_kernels::Isa;

use super::block::{BLOCK_ROWS, Lanes};
use super::config::{Activation, Config, Output};
use super::weights::{WeightsError, values};

mod kernel;
mod math;

/// Units that are computed side by side: with the four registers of a block, 16 sums, enough to
/// hide the latency of a multiply-add on every x86 core since 2013.
const UNITS: usize = 4;

/// A layer as the kernel reads it.
#[derive(Debug)]
struct PackedLayer {
    inputs: usize,
    activation: Activation,
    /// For each panel of [`UNITS`] units, for each input, one weight of each unit. The units that
    /// fill up the last panel have weights and bias 0.
    weights: Vec<[f32; UNITS]>,
    /// The bias of each panel.
    bias: Vec<[f32; UNITS]>,
}

/// What is done to the logits from `at` on.
#[derive(Debug, Clone, Copy)]
enum Finish {
    /// One logit times `scale` plus `mean`.
    Affine { at: usize, scale: f32, mean: f32 },
    /// The sigmoid of one logit.
    Sigmoid { at: usize },
    /// The softmax of `count` logits; the position of the largest goes to `labels[label]`.
    Softmax { at: usize, count: usize, label: usize },
}

/// The layers and outputs of a model.
#[derive(Debug)]
pub(super) struct Fused {
    layers: Vec<PackedLayer>,
    finish: Vec<Finish>,
    labels: usize,
    isa: Isa,
}

/// Memory for one block, used again for the next.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Inputs of the first layer; the caller fills them.
    pub(super) inputs: Vec<Lanes>,
    /// Units of the layers in turn.
    units: [Vec<Lanes>; 2],
    /// Position of the likeliest label for each output that names one.
    labels: Vec<[u32; BLOCK_ROWS]>,
}

/// Values of the logits, and positions of labels.
pub(super) type BlockResults<'s> = (&'s [Lanes], &'s [[u32; BLOCK_ROWS]]);

impl Fused {
    /// Packs the layers of `config` out of `tensors`, to run on instruction set `isa`.
    pub(super) fn new(
        config: &Config,
        tensors: &HashMap<String, Tensor>,
        isa: Isa,
    ) -> Result<Self, WeightsError> {
        let tensor = |name: String, shape: &[usize]| {
            let found = tensors
                .get(&name)
                .ok_or_else(|| WeightsError::Missing { tensor: name, expected: shape.to_vec() })?;
            Ok::<_, WeightsError>(values(found)?)
        };
        let mut layers = Vec::with_capacity(config.layers.len() + 1);
        for (index, (units, inputs, activation)) in config.dense_layers().enumerate() {
            let (weight, bias) = config.layer_names(index);
            let weight = tensor(weight, &[units, inputs])?;
            let bias = tensor(bias, &[units])?;
            layers.push(PackedLayer::new(inputs, activation, &weight, &bias));
        }
        let (finish, labels) = finish(config);
        Ok(Self { layers, finish, labels, isa })
    }

    /// Bytes of packed weights.
    pub(super) fn bytes(&self) -> usize {
        let panels = |layer: &PackedLayer| layer.weights.len() + layer.bias.len();
        self.layers.iter().map(panels).sum::<usize>() * size_of::<[f32; UNITS]>()
    }

    /// The instruction set that is used.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Outputs that name a label.
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// Memory for one thread that computes blocks.
    pub(super) fn scratch(&self) -> Scratch {
        let inputs = self.layers.first().map_or(0, |layer| layer.inputs);
        let units = |parity: usize| {
            let widths = self.layers.iter().skip(parity).step_by(2);
            widths.map(|layer| layer.bias.len() * UNITS).max().unwrap_or(0)
        };
        Scratch {
            inputs: vec![Lanes::ZERO; inputs],
            units: [vec![Lanes::ZERO; units(0)], vec![Lanes::ZERO; units(1)]],
            labels: vec![[0; BLOCK_ROWS]; self.labels],
        }
    }

    /// Computes the block whose inputs are in `scratch`. Returns one [`Lanes`] for each logit,
    /// regressions in the target's units and probabilities, and for each output that names a
    /// label the position of the likeliest.
    pub(super) fn forward<'s>(&self, scratch: &'s mut Scratch) -> BlockResults<'s> {
        self.isa.run(kernel::Forward { model: self, scratch })
    }
}

impl PackedLayer {
    /// Packs `weight` `[units, inputs]` and `bias` `[units]`.
    fn new(inputs: usize, activation: Activation, weight: &[f32], bias: &[f32]) -> Self {
        let mut weights = Vec::with_capacity(bias.len().div_ceil(UNITS) * inputs);
        for panel in weight.chunks(inputs.max(1) * UNITS) {
            for input in 0..inputs {
                let mut of_units = [0.0; UNITS];
                let column = panel.iter().skip(input).step_by(inputs);
                of_units.iter_mut().zip(column).for_each(|(to, from)| *to = *from);
                weights.push(of_units);
            }
        }
        let padded = |panel: &[f32]| {
            let mut of_units = [0.0; UNITS];
            of_units.iter_mut().zip(panel).for_each(|(to, from)| *to = *from);
            of_units
        };
        let bias = bias.chunks(UNITS).map(padded).collect();
        Self { inputs, activation, weights, bias }
    }
}

/// What is done to the logits of each output, and how many outputs name a label.
fn finish(config: &Config) -> (Vec<Finish>, usize) {
    let (mut at, mut labels) = (0, 0);
    let steps = config.outputs.iter().map(|output| {
        let first = at;
        at += output.logits();
        match output {
            Output::Regression(output) => {
                Finish::Affine { at: first, scale: output.scale as f32, mean: output.mean as f32 }
            }
            Output::Class(output) if output.labels.len() == 1 => Finish::Sigmoid { at: first },
            Output::Class(output) => {
                labels += 1;
                Finish::Softmax { at: first, count: output.labels.len(), label: labels - 1 }
            }
        }
    });
    (steps.collect(), labels)
}

#[cfg(test)]
mod tests;

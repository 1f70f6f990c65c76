//! Norms of either kind, in 32-bit floats whatever the precision of products.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::{layer_norm, rms_norm};

use super::BuildError;
use crate::engine::text::shape::{Norms, Shape};
use crate::engine::text::weights::Weights;

/// A norm of the last dimension.
pub(super) struct Norm {
    weight: Tensor,
    /// Of a norm by mean and variance; others have none.
    bias: Option<Tensor>,
    epsilon: f32,
}

impl Norm {
    /// The norm `name` of rows of `width` numbers, as those of a model of `shape` are.
    pub(super) fn new(
        device: &Device,
        shape: &Shape,
        width: usize,
        name: &str,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, BuildError> {
        let take = |part: &str| {
            let numbers = weights.take(&format!("{name}.{part}"), &[width])?;
            Ok::<_, BuildError>(Tensor::from_vec(numbers, width, device)?)
        };
        let (bias, epsilon) = match shape.norms {
            Norms::Root { epsilon } => (None, epsilon),
            Norms::Layer { has_bias: true, epsilon } => (Some(take("bias")?), epsilon),
            Norms::Layer { has_bias: false, epsilon } => {
                (Some(Tensor::new(vec![0.0_f32; width], device)?), epsilon)
            }
        };
        Ok(Self { weight: take("weight")?, bias, epsilon })
    }

    /// The norm of each row of `rows`, which are contiguous 32-bit floats.
    pub(super) fn apply(&self, rows: &Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => layer_norm(rows, &self.weight, bias, self.epsilon),
            None => rms_norm(rows, &self.weight, self.epsilon),
        }
    }
}

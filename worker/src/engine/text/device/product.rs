//! Products with the matrices of a model.

use candle_core::{DType, Device, Result, Tensor};

use super::BuildError;
use crate::engine::text::shape::Stacked;
use crate::engine::text::weights::Weights;

/// A matrix that turns rows into rows.
pub(super) struct Product {
    /// Of shape (numbers of what goes in, numbers of what comes out): turned by its strides alone.
    matrix: Tensor,
    bias: Option<Tensor>,
}

impl Product {
    /// The matrix `stacked` of layer `at`, in numbers of `dtype`.
    pub(super) fn new(
        device: &Device,
        weights: &Weights<'_>,
        stacked: &Stacked,
        at: &str,
        dtype: DType,
    ) -> std::result::Result<Self, BuildError> {
        let (matrix, bias) = weights.stacked(stacked, at)?;
        let (rows, depth) = (stacked.rows(), stacked.depth);
        let matrix = Tensor::from_vec(matrix, (rows, depth), device)?.to_dtype(dtype)?.t()?;
        let bias = match bias.is_empty() {
            true => None,
            false => Some(Tensor::from_vec(bias, rows, device)?.to_dtype(dtype)?),
        };
        Ok(Self { matrix, bias })
    }

    /// The product of each row.
    pub(super) fn of(&self, rows: &Tensor) -> Result<Tensor> {
        let product = rows.matmul(&self.matrix)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

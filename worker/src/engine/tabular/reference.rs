//! The model as plain candle operations: what training differentiates, and what the fused
//! computation is compared with.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};

use super::config::{Activation, Config, ConfigError, Feature, Output};
use super::featurize::Features;
use super::weights::{WeightsError, check_tensors};

/// Features as tensors.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// F32 `[rows, dense width]`.
    pub dense: Tensor,
    /// For each categorical feature, in order, U32 `[rows]`: its table rows.
    pub categories: Vec<Tensor>,
}

impl Inputs {
    /// All rows of `features`, rejected ones included (they hold zeros).
    ///
    /// # Errors
    /// Candle's, where the device has no room.
    pub fn new(features: &Features, device: &Device) -> Result<Self> {
        let shape = (features.rows, features.dense_width);
        let dense = Tensor::from_slice(&features.dense, shape, device)?;
        let tables = features.categories.iter();
        let categories = tables
            .map(|codes| Tensor::from_slice(codes, features.rows, device))
            .collect::<Result<_>>()?;
        Ok(Self { dense, categories })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.dense.dims().first().copied().unwrap_or(0)
    }

    /// The rows at `positions`, U32 `[n]`, in that order: a mini-batch.
    ///
    /// # Errors
    /// Candle's, where a position is not below [`rows`](Self::rows).
    pub fn select(&self, positions: &Tensor) -> Result<Self> {
        let select = |tensor: &Tensor| tensor.index_select(positions, 0);
        let categories = self.categories.iter().map(select).collect::<Result<_>>()?;
        Ok(Self { dense: select(&self.dense)?, categories })
    }
}

/// What one output says about each row.
#[derive(Debug, Clone)]
pub enum Prediction {
    /// F32 `[rows]`, in the target's units.
    Regression(Tensor),
    /// F32 `[rows, labels]`: the probability of each label; for one label, of that label.
    Class(Tensor),
}

/// A model made of candle tensors.
///
/// The tensors are shared, not copied: made from the tensors of a `VarMap`, the reference
/// follows every step of the optimiser.
#[derive(Debug, Clone)]
pub struct Reference {
    config: Config,
    tables: Vec<Tensor>,
    layers: Vec<(Tensor, Tensor)>,
}

/// Why no model can be made of a configuration and tensors.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used")]
    Config {
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// The tensors are not those of the configuration.
    #[error("the tensors cannot be used")]
    Weights {
        /// What is wrong.
        #[source]
        source: WeightsError,
    },
}

impl Reference {
    /// The model `config` with `tensors`, of any device.
    ///
    /// # Errors
    /// A configuration or tensors from which no model can be made.
    pub fn new(
        config: &Config,
        tensors: &HashMap<String, Tensor>,
    ) -> std::result::Result<Self, ModelError> {
        config.check().map_err(|source| ModelError::Config { source })?;
        let specs = config.tensors();
        check_tensors(&specs, tensors).map_err(|source| ModelError::Weights { source })?;
        // The order of `Config::tensors`: tables, then weight and bias of each layer.
        let mut ordered = specs.iter().filter_map(|spec| tensors.get(&spec.name).cloned());
        let tables = config.features.iter().filter(|feature| feature.table_rows().is_some());
        let tables = ordered.by_ref().take(tables.count()).collect();
        let layers = std::iter::from_fn(|| Some((ordered.next()?, ordered.next()?))).collect();
        Ok(Self { config: config.clone(), tables, layers })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Inputs of the first layer, F32 `[rows, input width]`: those of the features, in order.
    ///
    /// # Errors
    /// Candle's, where `inputs` are not those of this configuration.
    pub fn first_layer_inputs(&self, inputs: &Inputs) -> Result<Tensor> {
        let mut pieces = Vec::with_capacity(self.config.features.len());
        let mut tables = self.tables.iter().zip(&inputs.categories);
        let mut dense = 0;
        for feature in &self.config.features {
            let width = feature.width();
            if let Feature::Categorical(_) = feature {
                if let Some((table, codes)) = tables.next() {
                    pieces.push(table.index_select(codes, 0)?.to_dtype(DType::F32)?);
                }
            } else {
                pieces.push(inputs.dense.narrow(1, dense, width)?);
                dense += width;
            }
        }
        Tensor::cat(&pieces, 1)
    }

    /// Logits, F32 `[rows, logits]`, before anything is done to them.
    ///
    /// # Errors
    /// As [`first_layer_inputs`](Self::first_layer_inputs).
    pub fn logits(&self, inputs: &Inputs) -> Result<Tensor> {
        let mut x = self.first_layer_inputs(inputs)?;
        let activations = self.config.dense_layers().map(|(_, _, activation)| activation);
        for ((weight, bias), activation) in self.layers.iter().zip(activations) {
            let (weight, bias) = (weight.to_dtype(DType::F32)?, bias.to_dtype(DType::F32)?);
            let sum = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
            x = match activation {
                Activation::Relu => sum.relu()?,
                Activation::Gelu => sum.gelu()?,
                Activation::Tanh => sum.tanh()?,
                Activation::Identity => sum,
            };
        }
        Ok(x)
    }

    /// What the outputs say, in order, given the `logits` of this model.
    ///
    /// # Errors
    /// Candle's, where `logits` are not those of this configuration.
    pub fn predictions(&self, logits: &Tensor) -> Result<Vec<Prediction>> {
        let mut first = 0;
        let mut predictions = Vec::with_capacity(self.config.outputs.len());
        for output in &self.config.outputs {
            let own = logits.narrow(1, first, output.logits())?;
            first += output.logits();
            predictions.push(match output {
                Output::Regression(output) => {
                    Prediction::Regression(own.affine(output.scale, output.mean)?.flatten_all()?)
                }
                Output::Class(output) if output.labels.len() == 1 => {
                    Prediction::Class(candle_nn::ops::sigmoid(&own)?)
                }
                Output::Class(_) => Prediction::Class(candle_nn::ops::softmax(&own, 1)?),
            });
        }
        Ok(predictions)
    }
}

#[cfg(test)]
mod tests;

//! Predictions of a saved model.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use arrow::array::RecordBatch;
use candle_core::{Device, Tensor};
use nightshift_worker::engine::tabular::{Featurizer, Inputs, Model, Prediction, Reference};

use crate::results::Predicted;

/// A model directory, loaded.
pub struct Scorer {
    featurizer: Featurizer,
    reference: Reference,
}

impl Scorer {
    /// Loads `dir`.
    ///
    /// # Errors
    /// When it holds no usable model.
    pub fn load(dir: &Path) -> Result<Self> {
        let model = Model::load(dir)?;
        let reference = Reference::new(model.config(), model.tensors())?;
        Ok(Self { featurizer: Featurizer::new(model.config())?, reference })
    }

    /// The columns that the model reads.
    pub fn columns(&self) -> Vec<&str> {
        self.featurizer.input_columns().iter().map(|column| &*column.name).collect()
    }

    /// What the model says of `flights`.
    ///
    /// # Errors
    /// When the model cannot score a flight, or does not give the two outputs.
    pub fn predict(&self, flights: &RecordBatch) -> Result<Predicted> {
        let features = self.featurizer.featurize(flights)?;
        ensure!(
            features.rejects.is_empty(),
            "the model rejects {} flights",
            features.rejects.len()
        );
        let logits = self.reference.logits(&Inputs::new(&features, &Device::Cpu)?)?;
        let predictions = self.reference.predictions(&logits)?;
        let [Prediction::Regression(delay), Prediction::Class(late)] = predictions.as_slice()
        else {
            bail!("the model does not predict a delay and a class")
        };
        let wide = |x: &Tensor| -> Result<Vec<f64>> {
            Ok(x.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
        };
        Ok(Predicted { arr_delay: wide(delay)?, late: wide(late)? })
    }
}

//! Predictions of a saved model, made by the engine that a worker runs.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use nightshift_worker::engine::{self, Engine, Task};

use crate::results::Predicted;

/// A model directory, loaded.
pub struct Scorer {
    engine: Box<dyn Engine>,
}

impl Scorer {
    /// Loads `dir`.
    ///
    /// # Errors
    /// When it holds no usable model.
    pub fn load(dir: &Path) -> Result<Self> {
        let engine = engine::load(dir, &Task::Tabular);
        Ok(Self { engine: engine.with_context(|| format!("cannot load {}", dir.display()))? })
    }

    /// The columns that the model reads.
    pub fn columns(&self) -> Vec<&str> {
        self.engine.input_columns().iter().map(|column| &*column.name).collect()
    }

    /// What the model says of `flights`.
    ///
    /// # Errors
    /// When the model cannot score a flight, or does not give the two outputs.
    pub fn predict(&self, flights: &RecordBatch) -> Result<Predicted> {
        let scored = self.engine.run(flights)?;
        ensure!(scored.rejects.is_empty(), "the model rejects {} flights", scored.rejects.len());
        let output = |name: &str| -> Result<Vec<f64>> {
            let fields = self.engine.output_fields().iter();
            let column = fields.zip(&scored.columns).find(|(field, _)| field.name() == name);
            let (_, column) =
                column.with_context(|| format!("the model has no output `{name}`"))?;
            let values = column.as_primitive_opt::<Float32Type>();
            let values = values.with_context(|| format!("output `{name}` holds no numbers"))?;
            Ok(values.values().iter().map(|&x| f64::from(x)).collect())
        };
        Ok(Predicted { arr_delay: output("arr_delay_pred")?, late: output("late")? })
    }
}

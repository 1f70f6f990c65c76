//! What was measured, kept beside the model and shown in the README.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::baseline::{Baselines, sigmoid};
use crate::flights::{LATE_MINUTES, numbers};
use crate::metrics::{auc, log_loss, mae, rmse};

/// One predictor on one set of held-out days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which days.
    pub days: String,
    /// Flights measured: those that landed.
    pub flights: usize,
    /// Which predictor.
    pub predictor: String,
    /// Mean absolute error of the arrival delay, minutes.
    pub mae: f64,
    /// Root mean squared error of the arrival delay, minutes.
    pub rmse: f64,
    /// Area under the ROC curve of `late`.
    pub auc: f64,
    /// Log loss of `late`, nats.
    pub log_loss: f64,
}

/// The contents of `results.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Flights that the model learnt from.
    pub training_flights: usize,
    /// Dates that they belong to.
    pub training_days: usize,
    /// What the baselines learnt from the same flights.
    pub baselines: Baselines,
    /// All measurements, by set of days.
    pub measured: Vec<Measured>,
}

/// Predictions for a batch of flights, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Arrival delay, minutes.
    pub arr_delay: Vec<f64>,
    /// Probability of a late arrival.
    pub late: Vec<f64>,
}

/// The name of the model among the predictors.
pub const MODEL: &str = "delay-mlp";

impl Baselines {
    /// What the two baselines say of `flights`, each with its name.
    ///
    /// # Errors
    /// When `flights` has no departure delays.
    pub fn predict(&self, flights: &RecordBatch) -> Result<[(&'static str, Predicted); 2]> {
        let delay = numbers(flights, "dep_delay", self.dep_delay_fill)?;
        let rows = flights.num_rows();
        let mean = Predicted {
            arr_delay: vec![self.mean_arr_delay; rows],
            late: vec![self.late_rate; rows],
        };
        let line = Predicted {
            arr_delay: delay.iter().map(|&x| self.arr_delay_line.at(x)).collect(),
            late: delay.iter().map(|&x| sigmoid(self.late_line.at(x))).collect(),
        };
        Ok([("training mean", mean), ("departure delay only", line)])
    }
}

/// Compares predictions with what happened to `flights`.
///
/// # Errors
/// When `flights` has no arrival delays.
pub fn measure(
    days: &str,
    predictor: &str,
    predicted: &Predicted,
    flights: &RecordBatch,
) -> Result<Measured> {
    let truth = numbers(flights, "arr_delay", f64::NAN)?;
    let late: Vec<bool> = truth.iter().map(|&minutes| minutes >= LATE_MINUTES).collect();
    Ok(Measured {
        days: days.to_owned(),
        flights: flights.num_rows(),
        predictor: predictor.to_owned(),
        mae: mae(&predicted.arr_delay, &truth),
        rmse: rmse(&predicted.arr_delay, &truth),
        auc: auc(&predicted.late, &late),
        log_loss: log_loss(&predicted.late, &late),
    })
}

/// The measurements as a Markdown table, as it stands in the README.
pub fn table(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| held-out days | flights | predictor | MAE, min | RMSE, min | AUC of `late` | log loss of `late` |\n\
         |---|--:|---|--:|--:|--:|--:|\n",
    );
    for one in measured {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {:.3} | {:.3} |",
            one.days, one.flights, one.predictor, one.mae, one.rmse, one.auc, one.log_loss
        );
    }
    text
}

impl Results {
    /// Reads `results.json`.
    ///
    /// # Errors
    /// When there is no such file, or it holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes `results.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

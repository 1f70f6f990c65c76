//! From flights to tensors, with the code that serves the model.

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use candle_core::{Device, Tensor};
use nightshift_worker::engine::tabular::{Config, Featurizer, Inputs, Output};

use crate::flights::{LATE_MINUTES, numbers};
use crate::training::Targets;

/// The features of every flight as tensors.
///
/// # Errors
/// When the flights lack a column, or one of them would be rejected.
pub fn inputs(config: &Config, flights: &RecordBatch) -> Result<Inputs> {
    let features = Featurizer::new(config)?.featurize(flights)?;
    ensure!(features.rejects.is_empty(), "the model rejects {} flights", features.rejects.len());
    Ok(Inputs::new(&features, &Device::Cpu)?)
}

/// What `flights` should give, the delay standardised as `config` says.
///
/// # Errors
/// When the flights have no arrival delay, or the configuration no regression.
pub fn targets(config: &Config, flights: &RecordBatch) -> Result<Targets> {
    let regression = config.outputs.iter().find_map(|output| match output {
        Output::Regression(regression) => Some(regression),
        Output::Class(_) => None,
    });
    let regression = regression.context("the configuration has no regression output")?;
    let minutes = numbers(flights, "arr_delay", f64::NAN)?;
    let standardised: Vec<f32> =
        minutes.iter().map(|x| ((x - regression.mean) / regression.scale) as f32).collect();
    let late: Vec<f32> = minutes.iter().map(|&x| f32::from(u8::from(x >= LATE_MINUTES))).collect();
    let rows = minutes.len();
    Ok(Targets {
        arr_delay: Tensor::from_vec(standardised, rows, &Device::Cpu)?,
        late: Tensor::from_vec(late, rows, &Device::Cpu)?,
    })
}

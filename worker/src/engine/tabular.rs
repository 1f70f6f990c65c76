//! The engine `tabular`: a multi-layer perceptron over declared columns.
//!
//! A model is a directory with `config.json` ([`Config`]) and `model.safetensors` (the tensors
//! that [`Config::tensors`] lists). Both files may hold any bytes: every size is checked against
//! a limit ([`FEATURES_MAX`], [`WEIGHTS_BYTES_MAX`], …) before anything is allocated for it.
//!
//! The same parts serve training: [`Featurizer`] makes numbers from batches, [`Reference`]
//! computes with candle so that gradients flow, [`save`] writes the directory. Scoring
//! uses a computation of its own, which agrees with the reference to rounding.

mod block;
mod calendar;
mod config;
mod engine;
mod featurize;
mod fused;
mod model;
mod reference;
#[cfg(test)]
mod samples;
mod vocabulary;
mod weights;

pub use config::*;
pub use engine::TabularEngine;
pub use featurize::{Features, Featurizer};
pub(in crate::engine) use featurize::{check_columns, converted, missing, source, wrong_type};
pub use model::{CONFIG_BYTES_MAX, CONFIG_FILE, Model, SaveError, WEIGHTS_FILE, save};
pub use reference::{Inputs, ModelError, Prediction, Reference};
pub(in crate::engine) use weights::Header;
pub use weights::{FILE_BYTES_MAX, HEADER_BYTES_MAX, TENSORS_MAX, WeightsError};

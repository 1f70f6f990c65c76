//! Trains and measures the model of the flights example.
//!
//! The path of the data: [`flights`] reads the Parquet files, [`split`] says which days teach and which
//! examine, [`design`] turns the training days into the model's `config.json`, [`missing`] repeats
//! some rows with a value taken away, [`inputs`] featurises with the very code that serves the model,
//! [`network`] and [`training`] learn the weights, [`scorer`] predicts with the saved directory as a
//! worker would, and [`results`] compares that with what happened, beside the [`baseline`]s, in the
//! [`metrics`] of the README.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod baseline;
pub mod design;
pub mod flights;
pub mod inputs;
pub mod metrics;
pub mod missing;
pub mod network;
pub mod random;
pub mod results;
pub mod scorer;
pub mod split;
pub mod training;

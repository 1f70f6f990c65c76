//! What a program says: logs that can be searched by run, shard and attempt, and its last words.
//!
//! 1. [`fields`]: the names of the fields that every crate uses.
//! 2. [`log`]: one line an event, as text for people or JSON for machines, with the fields of
//!    the spans around it; [`secrets`] are taken out of it.
//! 3. [`story`]: the lines from which a run's inputs, model and outputs can be found later.
//! 4. [`task`]: the one way to spawn a task, which names it and keeps its span.
//! 5. [`signals`]: what ends a program; [`failure`]: how it says that it failed; [`ending`]: its
//!    exit code, and its last words for whoever looks at its pod.
//! 6. [`metrics`]: every number that a program shows, described once; [`exposition`]: the text
//!    that Prometheus reads; [`meter`]: what a worker counts.
//! 7. [`trace`]: the spans of a run, one trace across processes; [`otlp`]: sending traces and
//!    metrics to a collector.
//!
//! Lines go to standard error: standard output is for results.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod ending;
pub mod exposition;
pub mod failure;
pub mod fields;
mod line;
pub mod log;
pub mod meter;
pub mod metrics;
pub mod otlp;
pub mod secrets;
pub mod signals;
pub mod story;
pub mod task;
pub mod trace;

pub use failure::Failure;
pub use log::{InitError, LogFormat, init, init_exporting, init_to};
pub use otlp::{Exporting, Sends};
pub use task::spawn;

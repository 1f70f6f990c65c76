//! Logs that can be searched by run, shard and attempt.
//!
//! 1. [`fields`]: the names of the fields that every crate uses.
//! 2. [`log`]: one line an event, as text for people or JSON for machines, with the fields of
//!    the spans around it.
//! 3. [`task`]: the one way to spawn a task, which names it and keeps its span.
//!
//! Lines go to standard error: standard output is for results.
#![deny(missing_docs)]

pub mod fields;
mod line;
pub mod log;
pub mod task;

pub use log::{InitError, LogFormat, init, init_to};
pub use task::spawn;

//! Names of log fields. One name, one meaning, in every crate.
//!
//! The macros of `tracing` take identifiers, so a span writes `run = %run`; these constants are
//! for whoever reads lines or orders them.

/// The run, as `<name>-<date>-g<n>`.
pub const RUN: &str = "run";
/// Index of the shard.
pub const SHARD: &str = "shard";
/// The attempt, a ULID.
pub const ATTEMPT: &str = "attempt";
/// Digest of the model.
pub const MODEL_DIGEST: &str = "model_digest";
/// Name of the spec.
pub const NAME: &str = "name";
/// The date, or `all`.
pub const PARTITION: &str = "partition";
/// Name of the task that a line comes from.
pub const TASK: &str = "task";
/// What went wrong, with its causes.
pub const ERROR: &str = "error";
/// A file or an object.
pub const PATH: &str = "path";
/// A number of rows.
pub const ROWS: &str = "rows";

/// The fields that come first in a line, in this order.
pub const LEADING: [&str; 4] = [RUN, SHARD, ATTEMPT, MODEL_DIGEST];

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

/// What a value of a field is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Truth,
}

/// A field that lines have, for the manual (`docs/logs.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogField {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What it says.
    pub meaning: &'static str,
}

const fn field(name: &'static str, kind: Kind, meaning: &'static str) -> LogField {
    LogField { name, kind, meaning }
}

/// Fields of every line, in their order.
pub const ALWAYS: [LogField; 4] = [
    field("timestamp", Kind::Text, "when, RFC 3339 in UTC with microseconds"),
    field("level", Kind::Text, "`ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`"),
    field("target", Kind::Text, "the module that says it, as a filter names it"),
    field("message", Kind::Text, "what happened, in a few words that do not change"),
];

/// Fields with one meaning in every program, which stay as they are from version to version.
pub const STABLE: [LogField; 28] = [
    field(RUN, Kind::Text, "the run, as `<name>-<date>-g<n>`"),
    field(SHARD, Kind::Text, "index of the shard, in digits"),
    field(ATTEMPT, Kind::Text, "the attempt, a ULID; absent before one has begun"),
    field(MODEL_DIGEST, Kind::Text, "SHA-256 of the model; absent before the plan has been read"),
    field(NAME, Kind::Text, "name of the spec"),
    field(PARTITION, Kind::Text, "the date, or `all`"),
    field(TASK, Kind::Text, "name of the task inside of the program that says it"),
    field(ERROR, Kind::Text, "what went wrong, with its causes"),
    field(PATH, Kind::Text, "a file or an object"),
    field(ROWS, Kind::Number, "rows that it is about"),
    field("rows_in", Kind::Number, "rows of the shard"),
    field("rows_out", Kind::Number, "rows that were written"),
    field("rows_rejected", Kind::Number, "rows that could not be scored"),
    field("shards", Kind::Number, "shards that it is about"),
    field("quarantined", Kind::Number, "shards that were given up"),
    field("input", Kind::Text, "the first file, or the first slices of a shard"),
    field("input_files", Kind::Number, "files of the input"),
    field("input_bytes", Kind::Number, "bytes of the input"),
    field("model", Kind::Text, "where the model is"),
    field("model_version", Kind::Text, "the version that the spec names"),
    field("output", Kind::Text, "the output root, the folder of a run, or the file of a shard"),
    field("state", Kind::Text, "the verdict of a run: `succeeded`, `partial`, `failed`"),
    field("won", Kind::Truth, "whether the record of the shard is this attempt's"),
    field(
        "class",
        Kind::Text,
        "kind of a failure: `preempted`, `lost`, `transient`, `data`, `config`",
    ),
    field("reason", Kind::Text, "short name of a failure, or why"),
    field("token", Kind::Text, "the lease, as `<epoch>.<sequence>`"),
    field("epoch", Kind::Number, "incarnation of the coordinator"),
    field("worker", Kind::Text, "the worker, as `<host>:<process>:<ULID>`"),
];

#[cfg(test)]
mod tests;

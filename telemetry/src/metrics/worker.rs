//! What a worker sends.

use crate::metrics::Metric;
use crate::metrics::metrics;

/// Upper bounds for shards, in seconds.
const SHARD_BOUNDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];
/// Upper bounds for batches, in seconds.
const BATCH_BOUNDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Upper bounds for loading a model, in seconds.
const LOAD_BOUNDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds of a histogram, rising, without the infinite one; none for anything else.
pub fn bounds(metric: &Metric) -> &'static [f64] {
    match metric.name {
        name if name == SHARD_DURATION.name => SHARD_BOUNDS,
        name if name == BATCH_DURATION.name => BATCH_BOUNDS,
        name if name == MODEL_LOAD.name => LOAD_BOUNDS,
        _ => &[],
    }
}

metrics! {
    ROWS_SCORED: Counter "nightshift_worker_rows_scored_total" []
        "Rows that went through the model.",
        "Batch by batch, so attempts that came to nothing are among them; what counts is `nightshift_rows_processed_total` of the coordinator.";
    TOKENS: Counter "nightshift_worker_tokens_total" []
        "Tokens of texts that went through the model.", "Batch by batch, as rows scored; with those that the model adds.";
    ROWS_CUT: Counter "nightshift_worker_rows_cut_total" []
        "Rows whose text was longer than the model takes, and was cut.",
        "Batch by batch, as rows scored.";
    ROWS_REJECTED: Counter "nightshift_worker_rows_rejected_total" ["reason"]
        "Rejected rows of the shards that this worker committed, by reason.",
        "The reasons of [workers.md](workers.md).";
    ATTEMPTS: Counter "nightshift_worker_attempts_total" ["outcome"]
        "Attempts that ended.",
        "`outcome` is `committed`, `lost` (another attempt was first), `failed` or `given_up` (the shard was taken away, or the worker was told to go).";
    READ_BYTES: Counter "nightshift_worker_read_bytes_total" []
        "Bytes that the process read.",
        "Of files and connections of any kind, as the kernel counts them for the process (`rchar`). Absent where there is no `/proc`.";
    WRITTEN_BYTES: Counter "nightshift_worker_written_bytes_total" []
        "Bytes that the process wrote.", "Likewise (`wchar`).";
    SHARD_DURATION: Histogram "nightshift_worker_shard_duration_seconds" []
        "Time from the begin of an attempt until its record was created.",
        "Of attempts that committed.";
    BATCH_DURATION: Histogram "nightshift_worker_batch_duration_seconds" []
        "Time that one batch of rows spent in the model.", "";
    MODEL_LOAD: Histogram "nightshift_worker_model_load_seconds" []
        "Time that a model took to fetch, check and load.", "";
    BATCH_ROWS: Gauge "nightshift_worker_batch_rows" []
        "Rows of the batches that fit into memory.",
        "Absent until batches had to be made smaller.";
    BATCH_CHANGES: Counter "nightshift_worker_batch_changes_total" ["direction"]
        "Times that batches were made smaller, or larger again, before memory ran out.",
        "`direction` is `larger` or `smaller`; see [workers.md](workers.md#when-memory-is-short).";
    MEMORY: Gauge "nightshift_worker_memory_resident_bytes" []
        "Memory that the process holds.", "Resident, shared pages among them.";
    MEMORY_PEAK: Gauge "nightshift_worker_memory_peak_bytes" []
        "Most memory that the process ever held.", "Likewise; absent where there is no `/proc`.";
}

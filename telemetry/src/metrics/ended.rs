//! What the coordinator shows of pods that are gone: the sum of what their sidecars handed in.

use crate::metrics::{Metric, metrics, sidecar, worker};

metrics! {
    PODS: Counter "nightshift_ended_pods_total" ["name"]
        "Pods whose sidecar handed in its last numbers.", "";
    ROWS_SCORED: Counter "nightshift_ended_worker_rows_scored_total" ["name"]
        "Rows that went through the model in pods that ended.", "";
    TOKENS: Counter "nightshift_ended_worker_tokens_total" ["name"]
        "Tokens of texts that went through the model in these pods.", "";
    ROWS_CUT: Counter "nightshift_ended_worker_rows_cut_total" ["name"]
        "Rows whose text was cut in these pods.", "";
    ROWS_REJECTED: Counter "nightshift_ended_worker_rows_rejected_total" ["name", "reason"]
        "Rejected rows of the shards that these committed, by reason.", "";
    ATTEMPTS: Counter "nightshift_ended_worker_attempts_total" ["name", "outcome"]
        "Attempts that ended in these pods.", "";
    READ_BYTES: Counter "nightshift_ended_worker_read_bytes_total" ["name"]
        "Bytes that these read.", "";
    WRITTEN_BYTES: Counter "nightshift_ended_worker_written_bytes_total" ["name"]
        "Bytes that these wrote.", "";
    BATCH_CHANGES: Counter "nightshift_ended_worker_batch_changes_total" ["direction", "name"]
        "Times that these made batches smaller, or larger again, before memory ran out.", "";
    SHARD_DURATION: Histogram "nightshift_ended_worker_shard_duration_seconds" ["name"]
        "Time from the begin of an attempt until its record was created, in these pods.", "";
    BATCH_DURATION: Histogram "nightshift_ended_worker_batch_duration_seconds" ["name"]
        "Time that one batch of rows spent in the model, in these pods.", "";
    MODEL_LOAD: Histogram "nightshift_ended_worker_model_load_seconds" ["name"]
        "Time that a model took to fetch, check and load, in these pods.", "";
    MEMORY_PEAK: Gauge "nightshift_ended_worker_memory_peak_bytes" ["name"]
        "Most memory that any of these workers ever held.", "The largest, not a sum: what a pod needs.";
    OOM_KILLS: Counter "nightshift_ended_cgroup_oom_kills_total" ["name"]
        "Processes of these pods that were killed for memory.",
        "Known where `--pod-cgroup` shows the sidecar its pod.";
}

/// What of a pod goes into which of these. Each of a pod has one label at most; counters and
/// histograms are added up, of gauges the largest is kept.
pub const OF_POD: &[(Metric, Metric)] = &[
    (worker::ROWS_SCORED, ROWS_SCORED),
    (worker::TOKENS, TOKENS),
    (worker::ROWS_CUT, ROWS_CUT),
    (worker::ROWS_REJECTED, ROWS_REJECTED),
    (worker::ATTEMPTS, ATTEMPTS),
    (worker::READ_BYTES, READ_BYTES),
    (worker::WRITTEN_BYTES, WRITTEN_BYTES),
    (worker::BATCH_CHANGES, BATCH_CHANGES),
    (worker::SHARD_DURATION, SHARD_DURATION),
    (worker::BATCH_DURATION, BATCH_DURATION),
    (worker::MODEL_LOAD, MODEL_LOAD),
    (worker::MEMORY_PEAK, MEMORY_PEAK),
    (sidecar::OOM_KILLS, OOM_KILLS),
];

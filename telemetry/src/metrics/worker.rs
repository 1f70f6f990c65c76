//! What a worker sends.

use crate::metrics::metrics;

metrics! {
    ROWS_SCORED: Counter "nightshift_worker_rows_scored_total" []
        "Rows that went through the model.",
        "Batch by batch, so attempts that came to nothing are among them; what counts is `nightshift_rows_processed_total` of the coordinator.";
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
        "Absent until a batch had to be halved.";
    MEMORY: Gauge "nightshift_worker_memory_resident_bytes" []
        "Memory that the process holds.", "Resident, shared pages among them.";
}

//! Every limit of the protocol, with its reason.
//!
//! The reader of a message enforces them; writers rely on them when they size a request. The
//! test beside the conversions proves that the largest legal messages fit into
//! [`REQUEST_MAX_BYTES`] and [`REPLY_MAX_BYTES`].

/// Largest request in bytes: eight times a heartbeat of [`LEASES_MAX`] leases.
pub const REQUEST_MAX_BYTES: usize = 1 << 20;
/// Largest reply in bytes: twice the longest page of runs.
pub const REPLY_MAX_BYTES: usize = 4 << 20;
/// Most fields, repeated ones counted each time, at the top of one message. An empty element takes
/// two bytes on the wire and some hundred in memory, so the limit on bytes alone is not enough.
/// Twice what the longest list needs, which leaves room for fields of later versions.
pub const TOP_LEVEL_FIELDS_MAX: usize = 2_048;

/// How long a call may take in milliseconds, not counting the wait that it asks for.
pub const RPC_DEADLINE_MS: u64 = 5_000;
/// HTTP/2 keepalive of both sides: time between two pings in milliseconds.
pub const KEEPALIVE_INTERVAL_MS: u64 = 10_000;
/// HTTP/2 keepalive of both sides: how long a ping may stay unanswered, in milliseconds.
pub const KEEPALIVE_TIMEOUT_MS: u64 = 5_000;

/// Longest id of a worker or a request in bytes: a host name of 63, a process id and a ULID fit.
pub const ID_MAX_BYTES: usize = 128;
/// Longest path or URI in bytes: object stores allow keys of 1,024, a bucket and options come on
/// top.
pub const PATH_MAX_BYTES: usize = 2_048;
/// Longest text for people in characters, as in records.
pub const MESSAGE_MAX_CHARS: usize = nightshift_core::record::MESSAGE_MAX_CHARS;
/// Longest short name of a failure that a worker reports, in bytes; it becomes a metric label.
pub const REASON_MAX_BYTES: usize = 64;

/// Most leases granted by one call: a machine of 64 cores that runs one shard on each.
pub const ACQUIRE_MAX: u32 = 64;
/// Longest wait for a shard in milliseconds: well under the idle limits of proxies.
pub const ACQUIRE_WAIT_MAX_MS: u32 = 20_000;
/// Longest pause between two requests for work in milliseconds, so that new work is found.
pub const RETRY_AFTER_MAX_MS: u32 = 60_000;
/// Longest life of a lease in milliseconds: a lost shard must not be lost for a whole night.
pub const TTL_MAX_MS: u32 = 600_000;
/// Most leases in one heartbeat or release: 15 times what one call can grant.
pub const LEASES_MAX: usize = 1_000;
/// Largest batch size, in rows: beyond it a learned size says nothing about memory.
pub const BATCH_SIZE_MAX: u32 = 1 << 24;

/// Longest spec in bytes: a spec with a large pod template is under 20 KiB.
pub const SPEC_MAX_BYTES: usize = 256 << 10;
/// Most runs on one page: with the longest notices they take 1.7 MB.
pub const PAGE_MAX: u32 = 200;
/// Most dates that one backfill is about, nearly three years: with the longest reasons and a run of
/// each, which nobody works on at once, 1.6 MB.
pub const BACKFILL_DATES_MAX: u32 = 1_000;
/// Longest reason of a decision in bytes; it stands in a table.
pub const BACKFILL_REASON_MAX_BYTES: usize = 400;
/// Shortest time between two messages of a watch in milliseconds: faster than eyes.
pub const WATCH_INTERVAL_MIN_MS: u32 = 100;
/// Longest time between two messages of a watch in milliseconds.
pub const WATCH_INTERVAL_MAX_MS: u32 = 60_000;
/// Most quarantined shards that one reply spells out: with the longest messages 0.8 MB.
pub const QUARANTINED_SHOWN_MAX: usize = 100;
/// Most open shards that one reply describes: with the longest failures 0.5 MB.
pub const OPEN_SHARDS_MAX: u32 = 50;
/// Most reasons for rejected rows in one reply.
pub const REJECT_REASONS_MAX: usize = 1_000;
/// Most leases of one shard in one reply; there is one, and a backup or two.
pub const SHARD_LEASES_MAX: usize = 16;
/// Most numbers that a pod hands in: all that the coordinator knows take a fifth of them.
pub const POD_SAMPLES_MAX: usize = 512;
/// Longest value of a label in bytes, as in a page of metrics that people read.
pub const LABEL_MAX_BYTES: usize = 128;

//! What a worker takes of a machine: memory from the model, the rows and the threads.
//!
//! ```text
//! loading = process + weights + what loading them takes beside
//! working = process + weights + plan + footers + held + commits
//!           + threads × (decoders + batches + output + engine + thread)
//! peak    = the larger of the two, and a fifth more for what an allocator holds back
//! limit   = peak and a quarter more, in steps of 64 MiB
//! ```
//! The parts that a worker's own limits bound (rows of a batch, bytes of a row group) come in as
//! facts; the constants here are what a running process adds, each with where it is from.

use serde::Serialize;

use crate::quantity::mebibytes;

const MIB: u64 = 1 << 20;

/// Program, runtime and store, whatever is scored: a run of 842 rows on one thread takes 34 MiB
/// (docs/performance.md).
const PROCESS_BYTES: u64 = 40 * MIB;

/// Bytes of a shard in a plan: its JSON (86 bytes a shard of a large plan, docs/performance.md),
/// and the values that are made of it.
const SHARD_BYTES: u64 = 300;

/// A compute thread for itself: touched stack, and the heap that the allocator gives each thread.
const THREAD_BYTES: u64 = 2 * MIB;

/// Copies of a batch at a time: as decoded, as converted, beside its results, and in the encoder.
const BATCH_COPIES: u64 = 4;

/// What an encoder holds beside the encoded row group: pages and dictionaries that are being filled
/// (1 MiB each), and what is on its way to the file.
const ENCODER_BYTES: u64 = 4 * MIB;

/// A commit under way: a thread that waits for the disk, and the heap that the allocator gives it.
const COMMIT_BYTES: u64 = MIB / 2;

/// Share of the peak that an allocator holds back in pages that are not full: a fifth, measured.
const ALLOCATOR_SHARE: u64 = 5;

/// Share of the peak that a limit has above it: other data is not quite like the data that was
/// looked at, and the kernel counts page tables and sockets too.
const HEADROOM_SHARE: u64 = 4;

/// Limits are multiples of it.
const LIMIT_STEP: u64 = 64 * MIB;

/// What is known of a run before it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Weights as the engine holds them.
    pub weights_bytes: u64,
    /// What is in memory beside them while they are loaded.
    pub loading_bytes: u64,
    /// Shards of the plan.
    pub shards: u64,
    /// Rows of the largest shard.
    pub shard_rows: u64,
    /// Footers of input files that are kept.
    pub footer_bytes: u64,
    /// Bytes of objects in buckets that are held, by all threads together.
    pub held_bytes: u64,
    /// One decoder: the pages and dictionaries that it holds.
    pub decoder_bytes: u64,
    /// The largest batch of rows, decoded.
    pub batch_bytes: u64,
    /// Encoded rows that are held before they are written.
    pub output_bytes: u64,
    /// Commits that may be under way at one time.
    pub commits: u64,
    /// What the engine keeps for each thread while it computes, where that is much.
    #[serde(skip_serializing_if = "is_nothing")]
    pub engine_bytes: u64,
}

fn is_nothing(bytes: &u64) -> bool {
    *bytes == 0
}

impl Facts {
    /// Facts that bound both: for a worker that may get shards of either run.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            weights_bytes: self.weights_bytes.max(other.weights_bytes),
            loading_bytes: self.loading_bytes.max(other.loading_bytes),
            shards: self.shards.max(other.shards),
            shard_rows: self.shard_rows.max(other.shard_rows),
            footer_bytes: self.footer_bytes.max(other.footer_bytes),
            held_bytes: self.held_bytes.max(other.held_bytes),
            decoder_bytes: self.decoder_bytes.max(other.decoder_bytes),
            batch_bytes: self.batch_bytes.max(other.batch_bytes),
            output_bytes: self.output_bytes.max(other.output_bytes),
            commits: self.commits.max(other.commits),
            engine_bytes: self.engine_bytes.max(other.engine_bytes),
        }
    }
}

/// Where the memory of a worker goes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Threads that score.
    pub threads: u32,
    /// Program and runtime.
    pub process_bytes: u64,
    /// Weights, shared by all threads.
    pub weights_bytes: u64,
    /// The plan.
    pub plan_bytes: u64,
    /// Footers of input files.
    pub footer_bytes: u64,
    /// Bytes of objects in buckets.
    pub held_bytes: u64,
    /// Decoders of all threads: one at work, one that stands between two shards.
    pub decoder_bytes: u64,
    /// Batches of all threads.
    pub batch_bytes: u64,
    /// Output that all threads hold before it is written.
    pub output_bytes: u64,
    /// Commits that wait for the disk.
    pub commit_bytes: u64,
    /// The threads themselves, and what the engine keeps for each.
    pub thread_bytes: u64,
    /// Most memory that is used at one time.
    pub peak_bytes: u64,
    /// The memory limit to set.
    pub limit_bytes: u64,
}

impl Footprint {
    /// The footprint of a worker with `threads` threads (at least one).
    pub fn of(facts: &Facts, threads: u32) -> Self {
        let threads = threads.max(1);
        let each = |bytes: u64| bytes.saturating_mul(u64::from(threads));
        let plan_bytes = facts.shards.saturating_mul(SHARD_BYTES);
        // A thread leaves a decoder where its shard ended, and begins another one elsewhere.
        let decoder_bytes = each(facts.decoder_bytes.saturating_mul(2));
        let batch_bytes = each(facts.batch_bytes.saturating_mul(BATCH_COPIES));
        let output_bytes = each(facts.output_bytes.saturating_add(ENCODER_BYTES));
        let commit_bytes = facts.commits.saturating_mul(COMMIT_BYTES);
        let thread_bytes = each(facts.engine_bytes.saturating_add(THREAD_BYTES));
        let parts = [
            PROCESS_BYTES,
            facts.weights_bytes,
            plan_bytes,
            facts.footer_bytes,
            facts.held_bytes,
            decoder_bytes,
            batch_bytes,
            output_bytes,
            commit_bytes,
            thread_bytes,
        ];
        let working = parts.into_iter().fold(0, u64::saturating_add);
        let loading =
            PROCESS_BYTES.saturating_add(facts.weights_bytes).saturating_add(facts.loading_bytes);
        let peak_bytes = more(working.max(loading), ALLOCATOR_SHARE);
        Self {
            threads,
            process_bytes: PROCESS_BYTES,
            weights_bytes: facts.weights_bytes,
            plan_bytes,
            footer_bytes: facts.footer_bytes,
            held_bytes: facts.held_bytes,
            decoder_bytes,
            batch_bytes,
            output_bytes,
            commit_bytes,
            thread_bytes,
            peak_bytes,
            limit_bytes: more(peak_bytes, HEADROOM_SHARE).div_ceil(LIMIT_STEP) * LIMIT_STEP,
        }
    }

    /// The memory limit as Kubernetes writes it.
    pub fn limit(&self) -> String {
        mebibytes(self.limit_bytes)
    }
}

/// `bytes` and one `share`-th more; no more than can be rounded up to a limit.
fn more(bytes: u64, share: u64) -> u64 {
    bytes.saturating_add(bytes / share).min(u64::MAX - LIMIT_STEP)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Facts> {
        prop::array::uniform11(any::<u64>()).prop_map(|it| Facts {
            weights_bytes: it[0],
            shards: it[1],
            shard_rows: it[2],
            footer_bytes: it[3],
            decoder_bytes: it[4],
            batch_bytes: it[5],
            output_bytes: it[6],
            commits: it[7],
            held_bytes: it[8],
            engine_bytes: it[9],
            loading_bytes: it[10],
        })
    }

    #[test]
    fn a_small_run_takes_what_the_formula_says() {
        let facts = Facts {
            weights_bytes: 10 * MIB,
            batch_bytes: MIB,
            decoder_bytes: 2 * MIB,
            output_bytes: 4 * MIB,
            held_bytes: 32 * MIB,
            ..Facts::default()
        };
        // 40 + 10 + 32 + 2 × (2 × 2 + 4 × 1 + 4 + 4 + 2) = 118 MiB, and a fifth.
        let two = Footprint::of(&facts, 2);
        assert_eq!(two.peak_bytes, 118 * MIB + 118 * MIB / 5);
        assert_eq!(two.limit(), "192Mi");
    }

    #[test]
    fn loading_large_weights_is_the_peak() {
        let facts =
            Facts { weights_bytes: 1000 * MIB, loading_bytes: 2000 * MIB, ..Facts::default() };
        assert_eq!(Footprint::of(&facts, 1).peak_bytes, 3040 * MIB + 3040 * MIB / 5);
    }

    proptest! {
        #[test]
        fn more_of_anything_never_takes_less(facts in facts(), more in any::<u64>(), threads in 1_u32..1024) {
            let base = Footprint::of(&facts, threads);
            let larger = Facts { batch_bytes: facts.batch_bytes.saturating_add(more), ..facts };
            prop_assert!(Footprint::of(&larger, threads).peak_bytes >= base.peak_bytes);
            prop_assert!(Footprint::of(&facts, threads + 1).peak_bytes >= base.peak_bytes);
            prop_assert!(base.limit_bytes >= base.peak_bytes);
            prop_assert_eq!(base.limit_bytes % LIMIT_STEP, 0);
        }
    }
}

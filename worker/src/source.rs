//! Where shards come from: one trait, one pipeline behind it.
//!
//! [`InProcess`] hands out leases of a table in this process; [`StaticIndex`] hands out one
//! fixed shard, for processes that share nothing but the output root.

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::Lease;
use nightshift_core::record::FailureClass;

mod in_process;
mod static_index;

pub use in_process::InProcess;
pub use static_index::StaticIndex;

/// A source of shards, shared by the threads of one worker.
pub trait ShardSource: Send + Sync {
    /// The next shard to score; blocks while there may be one later.
    fn acquire(&self) -> Acquired;

    /// A shard has a record, whoever wrote it.
    fn decided(&self, shard: ShardIndex);

    /// An attempt ended without a record. What comes back is to be done by the caller.
    fn failed(&self, lease: Lease, failure: Failure) -> Verdict;

    /// Hands out nothing more; attempts that are not committing yet give up.
    fn drain(&self);

    /// Whether [`drain`](Self::drain) was called.
    fn is_draining(&self) -> bool;
}

/// Answer to a request for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// A shard to score.
    Lease(Lease),
    /// There is no more work, and never will be.
    Retire,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Kind of failure.
    pub class: FailureClass,
    /// Short name of the reason.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
}

/// What a failed attempt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The source sees to it: another attempt, or nothing.
    Handled,
    /// The shard is to be given up: write a quarantine record, then call
    /// [`ShardSource::decided`].
    Quarantine {
        /// How the last attempt failed.
        failure: Failure,
        /// Attempts that were made.
        attempts: u32,
    },
    /// No shard of the run can succeed; the source hands out nothing more.
    StopRun(Failure),
}

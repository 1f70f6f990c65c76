//! Where shards come from: one trait, one pipeline behind it.
//!
//! [`InProcess`] hands out leases of a table in this process; [`StaticIndex`] hands out one
//! fixed shard, for processes that share nothing but the output root; [`remote`] keeps leases of
//! a coordinator.

use std::sync::Arc;

use nightshift_core::exit::Exit;
use nightshift_core::lease::Lease;
use nightshift_core::record::{FailureClass, Record};

mod in_process;
pub mod remote;
mod static_index;
mod work;

pub use crate::drain::{Drain, drain_on_signals};
pub use in_process::InProcess;
pub use static_index::StaticIndex;
pub(crate) use work::span;
pub use work::{Attempt, RunWork};

/// A source of shards, shared by the threads of one worker.
///
/// For each lease that it hands out it is told, in this order: that an attempt began, how far it
/// came, that it is about to commit, and exactly once how it ended.
pub trait ShardSource: Send + Sync {
    /// The next shards to score, at least one and at most `max`, all of one run and in the order
    /// of their rows; blocks while there may be one later.
    fn acquire(&self, max: u32) -> Acquired;

    /// Whether a shard that it hands out was undecided a moment ago, as far as all who work on the
    /// run can know.
    fn grants_undecided(&self) -> bool {
        false
    }

    /// An attempt begins; `false` makes it give up, because the lease is gone.
    fn begun(&self, _attempt: &Attempt) -> bool {
        true
    }

    /// `rows` more rows were scored; `false` makes the attempt give up.
    fn scored(&self, _attempt: &Attempt, _rows: u64) -> bool {
        true
    }

    /// The attempt is about to commit, and finishes whatever it is told from now on; `false`
    /// makes it give up instead.
    fn may_commit(&self, _attempt: &Attempt) -> bool {
        true
    }

    /// The shard has a record; `won` says whether this attempt wrote it.
    fn decided(&self, attempt: &Attempt, record: &Record, won: bool);

    /// The attempt ended without a record. What comes back is to be done by the caller.
    fn failed(&self, attempt: &Attempt, failure: Failure) -> Verdict;
}

/// Answer to a request for work.
#[derive(Debug)]
pub enum Acquired {
    /// Shards to score.
    Leases {
        /// Their run.
        work: Arc<RunWork>,
        /// The shards.
        leases: Vec<Lease>,
    },
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
    /// Exit code of the process, if this failure ends it.
    pub exit: Exit,
    /// Where the cause lies.
    pub scope: Scope,
}

/// Where the cause of a failure lies. Class and scope are two questions: one process alone has to
/// stop when its disk is full, but it must not stop the work of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In what every worker has alike: the plan, the bytes of the model, the rows.
    Everywhere,
    /// In this host: its mounts, its rights, its disk. Another one may do better.
    Host,
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
    /// Nothing more is to be tried here: no shard of the run can succeed, or this process had
    /// one try only. The source hands out nothing more, and the process says that it failed.
    StopRun(Failure),
}

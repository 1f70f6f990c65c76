//! What the table wants done.

use std::num::NonZeroU32;

use super::{Lease, Moment, Token, WorkerId};
use crate::ids::ShardIndex;
use crate::record::FailureClass;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Hand this lease to this worker.
    Grant {
        /// The worker.
        worker: WorkerId,
        /// The lease.
        lease: Lease,
        /// Whether another worker holds a lease on the same shard.
        backup: bool,
        /// Batch size in rows to start with: what this worker learned, else the smallest that
        /// any worker of the run learned.
        batch_rows: Option<NonZeroU32>,
    },
    /// Tell this worker to ask again, at the latest at the given moment.
    Wait {
        /// The worker.
        worker: WorkerId,
        /// When a shard may become free, if that is known.
        until: Option<Moment>,
    },
    /// Tell this worker that there is no more work for it; it ends well.
    Retire {
        /// The worker.
        worker: WorkerId,
    },
    /// Tell this worker to stop and to come back another time.
    Drain {
        /// The worker.
        worker: WorkerId,
    },
    /// Answer a heartbeat.
    AnswerHeartbeat {
        /// The worker.
        worker: WorkerId,
        /// Each lease that it named, in the same order.
        leases: Vec<Answered>,
        /// What else it should know.
        advice: Advice,
    },
    /// Write a record that gives this shard up; it is decided when the record is.
    WriteQuarantine {
        /// The shard.
        shard: ShardIndex,
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What happened, in the words of the last attempt.
        message: String,
        /// Attempts that were made.
        attempts: u32,
    },
    /// Say that grants have stopped because attempts fail alike.
    ReportGrantsStopped {
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// Attempts that failed so.
        failed: u64,
        /// Attempts that ended in the same time.
        ended: u64,
        /// When grants go on, if no attempt succeeds before.
        until: Moment,
    },
    /// Say that grants go on.
    ReportGrantsResumed,
    /// Stop the run: no shard can succeed.
    StopRun {
        /// Short name of the reason.
        reason: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// Judge the record of the canary: nothing else is granted before it has passed.
    JudgeCanary {
        /// The canary.
        shard: ShardIndex,
    },
    /// Every shard is decided.
    AllDecided,
}

/// Answer to one lease of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answered {
    /// The lease.
    pub token: Token,
    /// How it stands.
    pub state: LeaseState,
}

/// How a lease stands that a heartbeat named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Renewed, or adopted from an older epoch.
    Ok,
    /// Over: the shard is decided, given up, or another's. Only a commit under way goes on.
    Revoked,
    /// Never heard of, as from a newer epoch. The worker goes on: the record decides.
    Unknown,
}

/// What a worker is to do when its leases allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Advice {
    /// Go on.
    #[default]
    Continue,
    /// Release what is not committing, end, and come back another time.
    Drain,
    /// Finish, then end well.
    Retire,
}

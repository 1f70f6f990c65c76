//! What the table is told.

use std::num::NonZeroU32;

use super::{Holding, RequestId, Token, WorkerId};
use crate::ids::ShardIndex;
use crate::record::FailureClass;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker asked for work.
    WorkWanted {
        /// The worker.
        worker: WorkerId,
        /// Which of its calls this is; a repetition gets the same leases.
        request: RequestId,
        /// Most leases that it takes; at most [`super::GRANTS_MAX`] are granted.
        max: u32,
    },
    /// A worker is alive and still works on these leases.
    HeartbeatArrived {
        /// The worker.
        worker: WorkerId,
        /// The leases to renew or to adopt.
        leases: Vec<Holding>,
    },
    /// A shard has a record, whoever wrote it.
    ShardDecided {
        /// The shard.
        shard: ShardIndex,
        /// The lease whose attempt committed it, where that is known: its duration counts
        /// towards the median, and it shows that attempts can succeed.
        by: Option<Token>,
    },
    /// An attempt ended without a record.
    AttemptFailed {
        /// The lease it was made under.
        lease: Holding,
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What happened.
        message: String,
    },
    /// A worker gives a lease back that it will not finish; counts nothing.
    LeaseReleased {
        /// The lease.
        token: Token,
    },
    /// A worker is known to have vanished; its leases end at once.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// How its leases count: preempted for an evicted pod, else lost.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What was seen.
        message: String,
    },
    /// A quarantine record could not be written, and it is unknown whether it exists: the shard
    /// is tried once more after the longest pause.
    QuarantineFailed {
        /// The shard.
        shard: ShardIndex,
    },
    /// A worker had to make its batches smaller; later grants say so.
    BatchLearned {
        /// The worker.
        worker: WorkerId,
        /// Rows of the largest batch that went through.
        rows: NonZeroU32,
    },
    /// The canary has a record, and it passed: the other shards may be granted.
    CanaryPassed,
    /// Time passed; to be told at least every few seconds.
    TimePassed,
    /// No more leases are to be granted; workers are to stop and come back another time.
    DrainRequested,
    /// The same for one worker, whose node goes away.
    WorkerDrainRequested {
        /// The worker.
        worker: WorkerId,
    },
    /// One worker is to finish its leases and end, because fewer are wanted.
    WorkerRetireRequested {
        /// The worker.
        worker: WorkerId,
    },
}

//! What to do after a conditional create: the protocol that makes a verdict happen once.
//!
//! Everything that is decided is an object created once. The store's answer to a create is not
//! always the truth: a timeout may hide a success, a client's own repeat may turn a success
//! into "already exists". So every answer except a clean Ok means *read it back* and compare:
//!
//! | answer to the create | then |
//! |---|---|
//! | created | won |
//! | refused (already exists, precondition, 409, 412, 304) | read back |
//! | unknown (5xx, timeout, reset) | read back |
//! | denied (401, 403, read-only, no space) | end at once |
//!
//! | read back | then |
//! |---|---|
//! | mine | won |
//! | another's | lost: it is decided, which is success |
//! | absent | the same bytes again, with backoff |
//! | unreadable | read again with backoff; past the bound, unsettled: a transient failure |
//!
//! **Nothing is ever deleted on an unknown outcome.** No variant here says "delete", and an
//! [`Decision::Unsettled`] or [`Decision::Denied`] object may still come to exist, because an
//! earlier create is still on its way.
//!
//! The protocol is a pair of types that alternate, so that no step can be left out:
//! [`AwaitReply`] takes what the store answered and [`AwaitReadBack`] what was found; each
//! returns a [`Decision`], which is an instruction. The prize of the contest travels inside
//! and comes out of [`Decision::Won`] only. For a record the prize is a [`CommitPermit`].

use std::time::Duration;

use crate::ids::{AttemptId, RunId, ShardIndex};

/// The right to make the visible files of one shard from the staged files of one attempt.
///
/// Only a settled record gives it: either this process won the create
/// ([`Decision::Won`]), or it has read the stored record back
/// ([`CommitPermit::from_stored_record`]). At most one attempt of a shard ever has one, because
/// at most one record of a shard exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPermit {
    run: RunId,
    shard: ShardIndex,
    attempt: AttemptId,
}

impl CommitPermit {
    /// The permit that a record in the store gives, for a process that repairs what a dead
    /// worker left, or that takes over the shards of an earlier generation.
    ///
    /// `run`, `shard` and `attempt` must be those that a committed record, **read from the
    /// store**, names. Calling this with anything else breaks the promise that a visible file
    /// is always the committed attempt's (I6).
    pub fn from_stored_record(run: RunId, shard: ShardIndex, attempt: AttemptId) -> Self {
        Self { run, shard, attempt }
    }

    /// The run whose record decided.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The shard.
    pub fn shard(&self) -> ShardIndex {
        self.shard
    }

    /// The attempt that won.
    pub fn attempt(&self) -> &AttemptId {
        &self.attempt
    }
}

/// What the store answered to a conditional create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateReply {
    /// A clean Ok: the object is this one.
    Created,
    /// The store says that a condition failed.
    Refused(Refusal),
    /// The create may or may not have happened.
    Unknown(Unclear),
    /// The create cannot happen, and repeating it cannot help.
    Denied(Denial),
}

/// How a store says that the object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// "Already exists".
    AlreadyExists,
    /// A failed precondition: 409 or 412.
    Precondition,
    /// "Not modified": 304.
    NotModified,
}

/// Why it is unknown whether a create happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unclear {
    /// No answer in time.
    Timeout,
    /// Any other error: 5xx, a connection reset, an I/O error.
    Failed,
}

/// Why a create cannot happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Credentials are missing or invalid: 401.
    Unauthenticated,
    /// Rights are missing: 403, or a file permission.
    Forbidden,
    /// The volume is read-only.
    ReadOnly,
    /// The volume or the quota is full.
    NoSpace,
    /// The store does not have the operation.
    Unsupported,
}

/// What was found under the name after a create that was not a clean Ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadBack<W> {
    /// The bytes that this attempt sent.
    Mine,
    /// Something else, with what is known about it.
    Another(W),
    /// Nothing.
    Absent,
    /// The read failed.
    Unreadable,
}

/// What to do next. `P` is the prize, `W` what is known of the winner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision is an instruction; dropping it leaves the outcome unknown"]
pub enum Decision<P, W> {
    /// Wait for `after`, read the object, then call [`AwaitReadBack::found`].
    ReadBack {
        /// How long to wait first; zero after a create.
        after: Duration,
        /// The next step.
        then: AwaitReadBack<P>,
    },
    /// Wait for `after`, create with the same bytes, then call [`AwaitReply::answered`].
    RetrySameBytes {
        /// How long to wait first.
        after: Duration,
        /// The next step.
        then: AwaitReply<P>,
    },
    /// The object in the store is this one.
    Won(P),
    /// The object in the store is another's; the thing is decided all the same.
    Lost(W),
    /// The outcome is unknown within the bounds: a transient failure.
    Unsettled {
        /// How many creates were sent.
        creates: u32,
    },
    /// The store refused to serve this caller.
    Denied(Denial),
}

/// Bounds of one settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// First wait.
    pub first: Duration,
    /// Longest wait; each wait is twice the one before it up to here.
    pub longest: Duration,
    /// Creates that are sent at most, the first one included; at least 1.
    pub creates_max: u32,
    /// Failed reads that are allowed before the outcome counts as unknown.
    pub unreadable_max: u32,
}

impl Backoff {
    /// Rides out a store that is away for some 15 seconds: the waits are 0.05, 0.1, … 3.2, 5,
    /// 5 seconds, before jitter. A worker that cannot settle in that time is better told to
    /// try later.
    pub const DEFAULT: Self = Self {
        first: Duration::from_millis(50),
        longest: Duration::from_secs(5),
        creates_max: 10,
        unreadable_max: 8,
    };

    /// The wait before repetition `n`, counted from 1, between half of the full wait and all of
    /// it: `jitter` is any number, read as within 0…1. Different workers must not repeat in step.
    pub fn wait(&self, n: u32, jitter: f64) -> Duration {
        let doublings = n.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        full.mul_f64(0.5 + jitter / 2.0)
    }
}

/// A create is to be sent, or has been sent; its answer is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct AwaitReply<P> {
    progress: Progress<P>,
}

/// The object must be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct AwaitReadBack<P> {
    progress: Progress<P>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress<P> {
    prize: P,
    backoff: Backoff,
    creates: u32,
    unreadable: u32,
}

/// Starts to settle the record of a shard; the prize is the permit to publish.
pub fn settle_record(
    run: RunId,
    shard: ShardIndex,
    attempt: AttemptId,
    backoff: Backoff,
) -> AwaitReply<CommitPermit> {
    AwaitReply::start(CommitPermit { run, shard, attempt }, backoff)
}

/// Starts to settle any other document; winning gives nothing but the knowledge.
pub fn settle_document(backoff: Backoff) -> AwaitReply<()> {
    AwaitReply::start((), backoff)
}

impl<P> AwaitReply<P> {
    fn start(prize: P, backoff: Backoff) -> Self {
        Self { progress: Progress { prize, backoff, creates: 0, unreadable: 0 } }
    }

    /// What the store answered to the create.
    pub fn answered<W>(self, reply: CreateReply) -> Decision<P, W> {
        let mut progress = self.progress;
        progress.creates = progress.creates.saturating_add(1);
        match reply {
            CreateReply::Created => Decision::Won(progress.prize),
            CreateReply::Refused(_) | CreateReply::Unknown(_) => {
                Decision::ReadBack { after: Duration::ZERO, then: AwaitReadBack { progress } }
            }
            CreateReply::Denied(denial) => Decision::Denied(denial),
        }
    }
}

impl<P> AwaitReadBack<P> {
    /// What was found under the name. `jitter` within 0…1 spreads the waits of many callers.
    pub fn found<W>(self, found: ReadBack<W>, jitter: f64) -> Decision<P, W> {
        let mut progress = self.progress;
        let Progress { backoff, creates, .. } = progress;
        match found {
            ReadBack::Mine => Decision::Won(progress.prize),
            ReadBack::Another(winner) => Decision::Lost(winner),
            ReadBack::Absent if creates < backoff.creates_max => Decision::RetrySameBytes {
                after: backoff.wait(creates, jitter),
                then: AwaitReply { progress },
            },
            ReadBack::Unreadable if progress.unreadable < backoff.unreadable_max => {
                progress.unreadable += 1;
                let after = backoff.wait(progress.unreadable, jitter);
                Decision::ReadBack { after, then: AwaitReadBack { progress } }
            }
            ReadBack::Absent | ReadBack::Unreadable => Decision::Unsettled { creates },
        }
    }
}

#[cfg(test)]
mod tests;

//! The lease table: who may try which shard until when, as a synchronous state machine.
//!
//! [`LeaseTable::apply`] takes the time and an [`Event`] and returns [`Effect`]s; it reads no
//! clock and performs nothing. One task owns the table; every answer from outside comes back
//! as an event. Leases only save work: correctness comes from the write-once record, so a
//! wrong table can waste effort but never make a result wrong.
//!
//! # Rules
//!
//! - **Acquire** ([`Event::WorkWanted`]) grants up to `max` shards in plan order. A call with
//!   the request id of the worker's last one gets the same leases again, because the first
//!   answer may have been lost; an older id gets nothing.
//! - **Heartbeat** renews the leases that it names and answers each: [`LeaseState`]. A lease
//!   that no heartbeat renews ends as lost at its deadline, on [`Event::TimePassed`].
//! - **Failures** ([`RetryRules`]): preempted counts nothing; lost and transient have budgets;
//!   data gives the shard up at once; config stops the run and burns no shard.
//! - **Backup** ([`BackupRules`]): queue empty and the only lease of a shard older than twice
//!   the median of decided attempts: one more lease on it, for another worker. The record
//!   decides who wins. While one of the two still runs, the failure of the other neither
//!   queues nor gives up the shard, except for bad data.
//! - **Breaker** ([`BreakerRules`]): more than half of the attempts that ended lately failed
//!   alike: no grants until a pause is over or an attempt succeeds.
//! - **Adoption**: a lease of an older epoch, named in a heartbeat, goes on if its shard is
//!   undecided and free. [`LeaseTable::awaiting_adoption`] holds grants back for one TTL, all of
//!   them or, with [`LeaseTable::keeping_back`], those of the last shards of the queue.
//! - **Canary** ([`LeaseTable::with_canary`]): one shard is granted before any other. When it
//!   has a record the owner is asked to judge it ([`Effect::JudgeCanary`]); until it says
//!   [`Event::CanaryPassed`] nothing else is granted.
//! - **Drain** (the run, or one worker) and **retire** (one worker) end grants; what is being
//!   committed is committed all the same.
//!
//! # Cost
//!
//! Per shard 8 bytes and 4 in the queue, so 12 MB for a million; a pause after a failure adds two
//! tree entries of together under 50. Everything else is per lease or per worker. Each event is O(log n) for
//! each lease that it names or ends: deadlines, ages and shards of leases are ordered sets, the
//! median is kept over a bounded window ([`DURATIONS_KEPT`]), failures are counted in buckets.
//! A search for a backup also passes over the leases of the asking worker, at most
//! [`LEASES_PER_WORKER_MAX`].

use std::borrow::Borrow;
use std::fmt;
use std::num::NonZeroU32;

use crate::ids::ShardIndex;
use crate::record::FailureClass;

mod batch;
mod event;
mod effect;
mod retry;
mod grant;
mod renew;
mod ending;
mod shards;
mod held;
mod look;
mod workers;
mod median;
mod breaker;

pub use batch::{BATCH_ROWS, smaller_batch};
pub use breaker::BreakerRules;
pub use effect::{Advice, Answered, Effect, LeaseState};
pub use event::Event;
pub use grant::BackupRules;
pub use look::{Holder, ShardPlace};
pub use median::DURATIONS_KEPT;
pub use retry::{RetryRules, Standing};

use breaker::Breaker;
use held::Leases;
use median::Median;
use shards::Shards;
use workers::Workers;

/// Most leases that one Acquire gets, whatever it asks for: an answer stays far below the
/// reply limit of 4 MiB, and one worker cannot empty the queue at once.
pub const GRANTS_MAX: u32 = 256;
/// Most leases that one worker holds: a worker that asks without end must not take the run.
pub const LEASES_PER_WORKER_MAX: usize = 1_024;
/// Most workers with state in the table: ten times the largest run that is planned for. A
/// worker beyond it waits.
pub const WORKERS_MAX: usize = 10_000;

/// Milliseconds on the owner's monotonic clock; only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; zero if that is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Name of one lease; within a run tokens only grow, across coordinator restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Incarnation of the table's owner.
    pub epoch: u64,
    /// Position within the epoch.
    pub sequence: u64,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.sequence)
    }
}

/// One holder of leases: a worker process, or all threads of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// Number that a worker gives to an Acquire; it only grows, and a repetition of the same call
/// has the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The right to try a shard until a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Its name.
    pub token: Token,
    /// The shard.
    pub shard: ShardIndex,
    /// Attempts of this shard that ended before, whatever the reason.
    pub earlier_attempts: u32,
}

/// A lease as its holder names it. The shard is part of it because a new coordinator has never
/// seen the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holding {
    /// Name of the lease.
    pub token: Token,
    /// Its shard.
    pub shard: ShardIndex,
}

impl From<Lease> for Holding {
    fn from(lease: Lease) -> Self {
        Self { token: lease.token, shard: lease.shard }
    }
}

/// Settings of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseSettings {
    /// How long a lease lasts after it was granted or renewed.
    pub ttl_ms: u64,
    /// What a failed attempt means for its shard.
    pub retry: RetryRules,
    /// When a slow shard gets a second lease; never if absent.
    pub backup: Option<BackupRules>,
    /// When grants stop because attempts fail alike; never if absent.
    pub breaker: Option<BreakerRules>,
}

impl LeaseSettings {
    /// The settings of the design for workers in other processes: a TTL of 30 s.
    pub fn with_crash_budget(crash_budget: u32) -> Self {
        Self {
            ttl_ms: 30_000,
            retry: RetryRules::with_crash_budget(crash_budget),
            backup: Some(BackupRules::DEFAULT),
            breaker: Some(BreakerRules::DEFAULT),
        }
    }
}

/// Leases of one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseTable {
    settings: LeaseSettings,
    epoch: u64,
    next_sequence: u64,
    shards: Shards,
    leases: Leases,
    workers: Workers,
    durations: Median,
    breaker: Option<Breaker>,
    /// Smallest batch that any worker had to go down to.
    batch_rows: Option<NonZeroU32>,
    /// Nothing is granted before this moment; leases of an older epoch are adopted.
    adopting_until: Option<Moment>,
    /// So many free shards are kept back until then, at the end of the queue.
    adopting_spare: u64,
    draining: bool,
    stopped: bool,
    /// The shard that is granted before any other, until it has passed.
    canary: Option<ShardIndex>,
}

impl LeaseTable {
    /// A table over `shards` shards of which `decided` have records already, owned by
    /// incarnation `epoch`; shards are granted in the order of `order`, then those that it
    /// leaves out.
    pub fn new(
        settings: LeaseSettings,
        epoch: u64,
        shards: u32,
        decided: impl IntoIterator<Item: Borrow<ShardIndex>>,
        order: impl IntoIterator<Item = ShardIndex>,
    ) -> Self {
        Self {
            settings,
            epoch,
            next_sequence: 0,
            shards: Shards::new(shards, decided, order),
            leases: Leases::default(),
            workers: Workers::default(),
            durations: Median::default(),
            breaker: settings.breaker.map(Breaker::new),
            batch_rows: None,
            adopting_until: None,
            adopting_spare: u64::MAX,
            draining: false,
            stopped: false,
            canary: None,
        }
    }

    /// The same table for an owner that takes over at `now`: leases of the one before may still
    /// be out, so for one TTL they are adopted and nothing is granted.
    #[must_use]
    pub fn awaiting_adoption(mut self, now: Moment) -> Self {
        self.adopting_until = Some(now.after_ms(self.settings.ttl_ms));
        self
    }

    /// While leases of the owner before are awaited, grants all the same as long as more than
    /// `spare` shards are free. For an owner whose queue begins where the one before had not
    /// got: then what may still be leased is at the end of the queue, and is kept back.
    #[must_use]
    pub fn keeping_back(mut self, spare: u64) -> Self {
        self.adopting_spare = spare;
        self
    }

    /// The same table, which grants nothing but `shard` until [`Event::CanaryPassed`]. If the shard
    /// has a record already, the owner is to judge it at once: [`LeaseTable::awaits_judgement`].
    #[must_use]
    pub fn with_canary(mut self, shard: ShardIndex) -> Self {
        self.canary = Some(shard);
        self
    }

    /// Whether the canary has a record and has not passed yet.
    pub fn awaits_judgement(&self) -> bool {
        self.canary.is_some_and(|shard| self.place(shard) == Some(ShardPlace::Decided))
    }

    /// Shards without a record.
    pub fn undecided(&self) -> u64 {
        self.shards.undecided()
    }

    /// The shards without a record, in order; for whoever gives up the rest of a run.
    pub fn undecided_shards(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.shards.undecided_shards()
    }

    /// Shards that wait in the queue: how many waiting Acquires are worth repeating.
    pub fn ready(&self) -> u64 {
        self.shards.ready()
    }

    /// Leases that are out.
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// Incarnation of the owner.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes in one event at `now` and returns what to do about it. `now` never goes back.
    pub fn apply(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::WorkWanted { worker, request, max } => {
                self.work_wanted(now, worker, request, max, &mut effects);
            }
            Event::HeartbeatArrived { worker, leases } => {
                effects.push(self.heartbeat(now, worker, &leases));
            }
            Event::ShardDecided { shard, by } => self.decided(now, shard, by, &mut effects),
            Event::AttemptFailed { lease, class, reason, message } => {
                if self.end_reported(lease) {
                    self.failed(now, lease.shard, class, reason, message, &mut effects);
                }
            }
            Event::LeaseReleased { token } => {
                if let Some(held) = self.end(token) {
                    let reason = "released".to_owned();
                    let message = "the worker was told to go".to_owned();
                    let class = FailureClass::Preempted;
                    self.failed(now, held.shard, class, reason, message, &mut effects);
                }
            }
            Event::WorkerLost { worker, class, reason, message } => {
                for token in self.workers.remove(worker) {
                    if let Some(held) = self.leases.remove(token) {
                        let (reason, message) = (reason.clone(), message.clone());
                        self.failed(now, held.shard, class, reason, message, &mut effects);
                    }
                }
            }
            Event::QuarantineFailed { shard } => {
                self.shards.keep_trying(shard, now.after_ms(self.settings.retry.pause_max_ms));
            }
            Event::BatchLearned { worker, rows } => {
                self.batch_rows = Some(self.batch_rows.map_or(rows, |least| least.min(rows)));
                self.workers.learned(worker, rows);
            }
            Event::CanaryPassed => self.canary = None,
            Event::TimePassed => self.time_passed(now, &mut effects),
            Event::DrainRequested => self.draining = true,
            Event::WorkerDrainRequested { worker } => {
                self.workers.advise(now, worker, Advice::Drain);
            }
            Event::WorkerRetireRequested { worker } => {
                self.workers.advise(now, worker, Advice::Retire);
            }
        }
        effects
    }

    /// What a worker is told beside the answer to its question.
    fn advice(&self, worker: WorkerId) -> Advice {
        if self.undecided() == 0 || self.stopped {
            Advice::Retire
        } else if self.draining {
            Advice::Drain
        } else {
            self.workers.advice(worker)
        }
    }
}

#[cfg(test)]
mod tests;

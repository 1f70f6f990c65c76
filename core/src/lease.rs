//! The lease table: who may try which shard until when, as a synchronous state machine.
//!
//! [`LeaseTable::apply`] takes the time and an [`Event`] and returns [`Effect`]s; it reads no
//! clock and performs nothing. One task owns the table; every answer from outside comes back
//! as an event. Leases only save work: correctness comes from the write-once record, so a
//! wrong table can waste effort but never make a result wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::ids::ShardIndex;
use crate::record::FailureClass;

mod retry;

pub use retry::{RetryRules, Standing};

/// Milliseconds on the owner's monotonic clock; only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
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

/// One holder of leases: a worker process or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u64);

/// The right to try a shard until a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub token: Token,
    /// The shard.
    pub shard: ShardIndex,
    /// Attempts of this shard that ended before, whatever the reason.
    pub earlier_attempts: u32,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker asked for work.
    WorkWanted {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker is alive; its leases are renewed.
    HeartbeatArrived {
        /// The worker.
        worker: WorkerId,
    },
    /// A shard has a record, whoever wrote it.
    ShardDecided {
        /// The shard.
        shard: ShardIndex,
    },
    /// An attempt ended without a record.
    AttemptFailed {
        /// The lease it was made under.
        token: Token,
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What happened.
        message: String,
    },
    /// A worker vanished; its leases end as lost.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
    },
    /// Time passed.
    TimePassed,
    /// No more leases are to be granted.
    DrainRequested,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Hand this lease to this worker.
    Grant {
        /// The worker.
        worker: WorkerId,
        /// The lease.
        lease: Lease,
    },
    /// Tell this worker to ask again, at the latest at the given moment.
    Wait {
        /// The worker.
        worker: WorkerId,
        /// When a shard becomes free at the latest, if that is known.
        until: Option<Moment>,
    },
    /// Tell this worker that there is no more work for it.
    Retire {
        /// The worker.
        worker: WorkerId,
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
    /// Stop the run: no shard can succeed.
    StopRun {
        /// Short name of the reason.
        reason: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// Every shard is decided.
    AllDecided,
}

/// Settings of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long a lease lasts after it was granted or renewed.
    pub ttl_ms: u64,
    /// What a failed attempt means for its shard.
    pub retry: RetryRules,
}

/// Leases of one run.
#[derive(Debug)]
pub struct LeaseTable {
    settings: LeaseSettings,
    epoch: u64,
    next_sequence: u64,
    /// By shard: whether it is decided, and what its attempts came to.
    slots: Vec<Slot>,
    undecided: u64,
    /// Undecided shards without a lease that may be granted now, in the order of granting.
    ready: VecDeque<ShardIndex>,
    /// Undecided shards that wait after a failure.
    delayed: BTreeSet<(Moment, ShardIndex)>,
    leases: BTreeMap<Token, Held>,
    draining: bool,
    stopped: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    decided: bool,
    giving_up: bool,
    standing: Standing,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    worker: WorkerId,
    shard: ShardIndex,
    deadline: Moment,
}

impl LeaseTable {
    /// A table over `shards` shards of which `decided` have records already, owned by
    /// incarnation `epoch`; shards are granted in the order of `order`.
    pub fn new(
        settings: LeaseSettings,
        epoch: u64,
        shards: u32,
        decided: &BTreeSet<ShardIndex>,
        order: impl IntoIterator<Item = ShardIndex>,
    ) -> Self {
        let mut slots = vec![Slot::default(); shards as usize];
        for shard in decided {
            if let Some(slot) = slots.get_mut(shard.as_usize()) {
                slot.decided = true;
            }
        }
        let undecided = slots.iter().filter(|slot| !slot.decided).count() as u64;
        let open =
            |shard: &ShardIndex| slots.get(shard.as_usize()).is_some_and(|slot| !slot.decided);
        let ready = order.into_iter().filter(open).collect();
        Self {
            settings,
            epoch,
            next_sequence: 0,
            undecided,
            ready,
            slots,
            delayed: BTreeSet::new(),
            leases: BTreeMap::new(),
            draining: false,
            stopped: false,
        }
    }

    /// Shards without a record.
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// Leases that are out.
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// Takes in one event at `now` and returns what to do about it.
    pub fn apply(&mut self, now: Moment, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::WorkWanted { worker } => effects.push(self.answer(now, worker)),
            Event::HeartbeatArrived { worker } => self.renew(now, worker),
            Event::ShardDecided { shard } => self.decided(shard, &mut effects),
            Event::AttemptFailed { token, class, reason, message } => {
                if let Some(held) = self.leases.remove(&token) {
                    self.failed(now, held.shard, class, reason, message, &mut effects);
                }
            }
            Event::WorkerLost { worker } => {
                self.lose(now, "worker_lost", |held| held.worker == worker, &mut effects);
            }
            Event::TimePassed => {
                self.lose(now, "lease_expired", |held| held.deadline <= now, &mut effects);
                self.wake(now);
            }
            Event::DrainRequested => self.draining = true,
        }
        effects
    }

    fn answer(&mut self, now: Moment, worker: WorkerId) -> Effect {
        if self.undecided == 0 || self.draining || self.stopped {
            return Effect::Retire { worker };
        }
        self.wake(now);
        let Some(shard) = self.next_ready() else {
            let delayed = self.delayed.first().map(|(moment, _)| *moment);
            let expiring = self.leases.values().map(|held| held.deadline).min();
            let until = [delayed, expiring].into_iter().flatten().min();
            return Effect::Wait { worker, until };
        };
        let token = Token { epoch: self.epoch, sequence: self.next_sequence };
        self.next_sequence += 1;
        let deadline = now.after_ms(self.settings.ttl_ms);
        self.leases.insert(token, Held { worker, shard, deadline });
        let earlier_attempts = self.slots[shard.as_usize()].standing.attempts();
        Effect::Grant { worker, lease: Lease { token, shard, earlier_attempts } }
    }

    /// The next shard to grant; shards that were decided while they waited are passed over.
    fn next_ready(&mut self) -> Option<ShardIndex> {
        while let Some(shard) = self.ready.pop_front() {
            let slot = self.slots[shard.as_usize()];
            if !slot.decided && !slot.giving_up {
                return Some(shard);
            }
        }
        None
    }

    fn renew(&mut self, now: Moment, worker: WorkerId) {
        let deadline = now.after_ms(self.settings.ttl_ms);
        for held in self.leases.values_mut().filter(|held| held.worker == worker) {
            held.deadline = deadline;
        }
    }

    fn decided(&mut self, shard: ShardIndex, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(shard.as_usize()) else { return };
        if std::mem::replace(&mut slot.decided, true) {
            return;
        }
        self.leases.retain(|_, held| held.shard != shard);
        self.undecided -= 1;
        if self.undecided == 0 {
            effects.push(Effect::AllDecided);
        }
    }

    fn lose(
        &mut self,
        now: Moment,
        reason: &str,
        lost: impl Fn(&Held) -> bool,
        effects: &mut Vec<Effect>,
    ) {
        let gone: Vec<(Token, Held)> = self
            .leases
            .iter()
            .filter(|(_, held)| lost(held))
            .map(|(token, held)| (*token, *held))
            .collect();
        for (token, held) in gone {
            self.leases.remove(&token);
            let message = "the worker stopped without a word".to_owned();
            self.failed(now, held.shard, FailureClass::Lost, reason.to_owned(), message, effects);
        }
    }

    fn failed(
        &mut self,
        now: Moment,
        shard: ShardIndex,
        class: FailureClass,
        reason: String,
        message: String,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.slots.get_mut(shard.as_usize()) else { return };
        if slot.decided || slot.giving_up {
            return;
        }
        if class == FailureClass::Config {
            if !std::mem::replace(&mut self.stopped, true) {
                effects.push(Effect::StopRun { reason, message });
            }
            return;
        }
        match slot.standing.after(class, &self.settings.retry) {
            retry::Next::AtOnce => self.ready.push_back(shard),
            retry::Next::After { ms } => {
                self.delayed.insert((now.after_ms(ms), shard));
            }
            retry::Next::GiveUp => {
                slot.giving_up = true;
                let attempts = slot.standing.attempts();
                effects.push(Effect::WriteQuarantine { shard, class, reason, message, attempts });
            }
        }
    }

    /// Moves shards whose pause is over to the queue.
    fn wake(&mut self, now: Moment) {
        while let Some(&(moment, shard)) = self.delayed.first() {
            if moment > now {
                break;
            }
            self.delayed.pop_first();
            self.ready.push_back(shard);
        }
    }
}

#[cfg(test)]
mod tests;

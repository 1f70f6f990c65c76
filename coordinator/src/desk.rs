//! The desk: every run that is under way, and who may try which of its shards.
//!
//! A synchronous value, like the [`LeaseTable`](nightshift_core::lease::LeaseTable)s in it: it is told the time, answers at once and
//! performs nothing. What is to be done comes back as [`Task`]s. It adds to the tables what one
//! run alone cannot know: which run a request for work goes to (`share`), which worker is
//! behind a name ([`book`]), and what people are shown (`show`).
//!
//! One lock guards the desk and is never held while something is awaited, so everything that
//! happens to leases happens in one order.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::gates::Canary;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::lease::{Event, Moment};
use nightshift_core::record::{CANARY_FAILED, FailureClass};

pub mod active;
pub mod book;
mod acquire;
mod heartbeat;
mod launched;
pub mod pace;
mod report;
mod share;
mod show;

pub use acquire::{AcquireAnswer, Granted};
pub use active::{ActiveRun, Decided, RunFacts, Standing};
pub use report::ReportAnswer;
pub use show::ShardLook;

use book::Book;

/// Most runs that are under way at a time: every one keeps its shards in memory, and every
/// request for work looks at each.
pub const RUNS_MAX: usize = 256;
/// Concluded runs that are remembered, so that late calls get a quick answer; the store knows
/// them all.
pub const CONCLUDED_MAX: usize = 10_000;

/// Every run that is under way.
#[derive(Debug)]
pub struct Desk {
    runs: BTreeMap<RunId, ActiveRun>,
    book: Book,
    /// Runs that have a final, and the order in which they were concluded.
    concluded: BTreeSet<RunId>,
    concluded_order: std::collections::VecDeque<RunId>,
    counters: Counters,
}

/// Something to be done, after the desk has been left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Write a record that gives this shard up.
    Quarantine {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What happened and what to do.
        message: String,
        /// Attempts that were made.
        attempts: u32,
    },
    /// Give up every undecided shard of a run.
    GiveUpAll {
        /// The run.
        run: RunId,
        /// Kind of failure.
        class: FailureClass,
        /// Short name of the reason.
        reason: String,
        /// What happened and what to do.
        message: String,
    },
    /// Judge the record of a run's canary.
    JudgeCanary {
        /// The run.
        run: RunId,
    },
    /// Make the verdict of a run whose shards are all decided.
    Conclude {
        /// The run.
        run: RunId,
    },
}

/// What happened on this desk, for metrics; all only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Leases granted.
    pub granted: u64,
    /// Of these, second leases on slow shards.
    pub backups: u64,
    /// Leases taken over from an earlier incarnation.
    pub adopted: u64,
    /// Leases that ended because nobody renewed them.
    pub expired: u64,
    /// Leases that were given back.
    pub released: u64,
    /// Attempts that ended without a record.
    pub failed: u64,
    /// Of these, those whose worker was seen to be gone before its leases ended.
    pub vanished: u64,
    /// Shards that were decided.
    pub decided: u64,
}

/// Why a run cannot be put on the desk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The desk is full.
    #[error("{RUNS_MAX} runs are under way, which is the limit; try again when one has ended")]
    Full,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A desk without runs.
    pub fn new() -> Self {
        Self {
            runs: BTreeMap::new(),
            book: Book::default(),
            concluded: BTreeSet::new(),
            concluded_order: std::collections::VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Puts a run on the desk; one that lies there already stays as it is. A run whose shards
    /// are all decided comes back as a task to conclude it.
    ///
    /// # Errors
    /// If the desk is full.
    pub fn open(&mut self, run: ActiveRun) -> Result<Vec<Task>, Refused> {
        let id = run.facts.run().clone();
        if self.runs.contains_key(&id) {
            return Ok(Vec::new());
        }
        if self.runs.len() >= RUNS_MAX {
            return Err(Refused::Full);
        }
        self.concluded.remove(&id);
        let mut tasks = Vec::new();
        let done = run.table.undecided() == 0;
        let run = self.runs.entry(id).or_insert(run);
        if done {
            run.conclude(&mut tasks);
        } else if run.table.awaits_judgement() {
            tasks.push(Task::JudgeCanary { run: run.facts.run().clone() });
        }
        Ok(tasks)
    }

    /// The run, if it is under way.
    pub fn run(&self, run: &RunId) -> Option<&ActiveRun> {
        self.runs.get(run)
    }

    /// The run, to change it, if it is under way.
    pub fn run_mut(&mut self, run: &RunId) -> Option<&mut ActiveRun> {
        self.runs.get_mut(run)
    }

    /// The runs that are under way.
    pub fn runs(&self) -> impl Iterator<Item = &ActiveRun> {
        self.runs.values()
    }

    /// Whether the run has a final, as far as this desk remembers.
    pub fn is_concluded(&self, run: &RunId) -> bool {
        self.concluded.contains(run)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Workers that were heard of lately.
    pub fn workers(&self) -> usize {
        self.book.len()
    }

    /// Takes a run off the desk that has its final.
    pub fn concluded(&mut self, run: &RunId) {
        self.runs.remove(run);
        self.remember(run.clone());
    }

    /// Takes a run off the desk that somebody else looks after.
    pub fn leave(&mut self, run: &RunId) {
        self.runs.remove(run);
    }

    /// Notes that a run has a final.
    pub fn remember(&mut self, run: RunId) {
        if self.concluded.insert(run.clone()) {
            self.concluded_order.push_back(run);
        }
        while self.concluded_order.len() > CONCLUDED_MAX
            && let Some(oldest) = self.concluded_order.pop_front()
        {
            self.concluded.remove(&oldest);
        }
    }

    /// Shards of `run` have records, as the store says; `decided` tells what each came to.
    pub fn found_decided(
        &mut self,
        now: Moment,
        run: &RunId,
        shards: impl IntoIterator<Item = (ShardIndex, Decided)>,
    ) -> Vec<Task> {
        let mut tasks = Vec::new();
        let Some(active) = self.runs.get_mut(run) else { return tasks };
        for (shard, decided) in shards {
            if active.decided(now, shard, None, decided, &mut tasks) {
                self.counters.decided += 1;
            }
        }
        tasks
    }

    /// The canary of a run was judged: the other shards are granted, or given up.
    pub fn canary_judged(&mut self, now: Moment, run: &RunId, canary: Canary) -> Vec<Task> {
        match canary {
            Canary::Failed { message } => {
                self.give_up(now, run, FailureClass::Data, CANARY_FAILED, message)
            }
            Canary::None | Canary::Awaited(_) | Canary::Passed => {
                if let Some(active) = self.runs.get_mut(run) {
                    active.table.apply(now, Event::CanaryPassed);
                }
                Vec::new()
            }
        }
    }

    /// A record that gives a shard up could not be written.
    pub fn quarantine_failed(&mut self, now: Moment, run: &RunId, shard: ShardIndex) {
        if let Some(active) = self.runs.get_mut(run) {
            active.table.apply(now, Event::QuarantineFailed { shard });
        }
    }

    /// Ends a run early: nothing more is granted, and what is undecided is given up.
    pub fn cancel(&mut self, now: Moment, run: &RunId, reason: &str, who: &str) -> Vec<Task> {
        let message = if reason.is_empty() {
            format!("cancelled by {who}")
        } else {
            format!("cancelled by {who}: {reason}")
        };
        self.give_up(now, run, FailureClass::Cancelled, "cancelled", message)
    }

    /// Ends a run early for the reason that is given: what is undecided is given up with it.
    pub fn give_up(
        &mut self,
        now: Moment,
        run: &RunId,
        class: FailureClass,
        reason: &str,
        message: String,
    ) -> Vec<Task> {
        let Some(active) = self.runs.get_mut(run) else { return Vec::new() };
        if std::mem::replace(&mut active.ending, true) {
            return Vec::new();
        }
        active.table.apply(now, Event::DrainRequested);
        active.notice.clone_from(&message);
        vec![Task::GiveUpAll { run: run.clone(), class, reason: reason.to_owned(), message }]
    }

    /// Shards that wait for a worker, over all runs.
    pub fn ready(&self, now: Moment) -> u64 {
        self.runs.values().map(|run| run.grantable(now)).sum()
    }

    /// Time passed: ends leases that nobody renewed, wakes shards, forgets silent workers.
    pub fn time_passed(&mut self, now: Moment) -> Vec<Task> {
        let mut tasks = Vec::new();
        for run in self.runs.values_mut() {
            let before = run.table.leased();
            run.table.expired(now).for_each(|lease| run.trace_lost(now, lease, "lease_expired"));
            let effects = run.table.apply(now, Event::TimePassed);
            self.counters.expired += before.saturating_sub(run.table.leased()) as u64;
            run.perform(effects, &mut tasks);
            run.tidy();
        }
        self.book.forget_silent(now);
        tasks
    }
}

#[cfg(test)]
mod tests;

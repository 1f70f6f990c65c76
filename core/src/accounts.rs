//! Accounts: what all runs of a spec came to, for counters that outlive every process.
//!
//! Truth is the store: a row is counted by the record of its shard, and by no pod and no
//! coordinator. What an [`Account`] says is the sum over **every record of the name that was not
//! inherited**; a shard that a later generation takes over has been counted where it was scored.
//!
//! Two sources say the same thing. The final of a run has the sums of its records, so a run that
//! is concluded costs one small document, however many shards it had. The records of a run
//! without a final are counted one at a time, each shard once. When the run gets its final, the
//! final takes their place; both are within one account, so no look at it sees a run twice or
//! not at all.
//!
//! What a person decides about a run that its gate withheld comes on top: the run stays counted as
//! withheld, since that is how it ended and a counter may not go back, and the decision is counted
//! as one. From an approval on, the run is a success as any other.
//!
//! Records, finals and approvals are created once, never change and are kept for ever. So sums only grow,
//! and an account that is made anew from the store says at least what the one before said. Until
//! that is done it says nothing ([`Account::figures`] is none): a counter that begins at zero
//! again would be taken for a new one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::backfill::{Decided, Instruction};
use crate::conclusion::{Final, FinalState, Totals};
use crate::gates::Judgement;
use crate::ids::{Generation, Partition, RunId};
use crate::plan::{Planned, ShardSet};
use crate::record::{Record, Verdict};

mod ending;
mod seconds;
mod sums;

pub use ending::{Ending, Outcome};
pub use seconds::{BOUNDS_S, Seconds};
pub use sums::{OTHER_REASON, REJECT_REASONS, Sums};

/// What the runs of one spec came to.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Runs that have their final, and their sums.
    concluded: BTreeSet<RunKey>,
    closed: Sums,
    runs: BTreeMap<Outcome, u64>,
    last_success: Option<Timestamp>,
    last_failure: Option<Timestamp>,
    /// Withheld runs that a person has decided about, and how.
    judged: BTreeMap<RunKey, Judgement>,
    /// Runs that have none, as far as this account knows.
    open: BTreeMap<RunKey, Open>,
    /// The run that was planned last, and when that was.
    newest: Option<(Timestamp, Settings)>,
    /// Dates that the last backfill found unfinished; none if there was no backfill.
    pending: Option<BTreeSet<Partition>>,
    seconds: Seconds,
    surveyed: bool,
}

type RunKey = (Partition, Generation);

/// A run without a final.
#[derive(Debug, Clone, Default)]
struct Open {
    counted: ShardSet,
    sums: Sums,
}

/// How a record was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It is new.
    Now,
    /// It was there before; how long its shard took is not news.
    Before,
}

/// The final of a run says too little: its inherited rows can be told from its own by its
/// records alone, or by the totals of the run that it inherited from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the inherited rows of {partition} {generation} are not known; count its records first")]
pub struct Unknown {
    /// The date, or `all`.
    pub partition: Partition,
    /// The generation.
    pub generation: Generation,
}

/// What an account says.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Rows, over all runs.
    pub sums: Sums,
    /// What the run that was planned last is; none before the first plan.
    pub newest: Option<Settings>,
    /// Concluded runs by how they ended.
    pub runs: BTreeMap<Outcome, u64>,
    /// Withheld runs that people decided about.
    pub judged: BTreeMap<Judgement, u64>,
    /// When the last shard of the last run was decided whose output readers may see: it succeeded,
    /// and no gate withheld it or a person approved it.
    pub last_success: Option<Timestamp>,
    /// When the last run ended partial or failed.
    pub last_failure: Option<Timestamp>,
    /// What the last backfill left to do.
    pub pending: Option<Pending>,
    /// How long shards took.
    pub seconds: Seconds,
}

/// What the plan of a run says of all its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The engine, as in `tabular`.
    pub task: String,
    /// Largest share of a shard's rows that may be rejected.
    pub rejects_max_ratio: f64,
}

/// What a backfill found unfinished and has not succeeded since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// How many dates.
    pub dates: u64,
    /// The beginning of the oldest of them, in UTC; none if there is none.
    pub oldest: Option<Timestamp>,
}

// === impl Account ===

impl Account {
    /// Notes the plan of a run, if no later plan is known: its task names the rows of the account.
    pub fn planned(&mut self, plan: &impl Planned) {
        let at = plan.planned_at();
        if self.newest.as_ref().is_none_or(|(newest, _)| *newest <= at) {
            let task = plan.task();
            let (task, rejects_max_ratio) = (task.kind.clone(), task.rejects_max_ratio);
            self.newest = Some((at, Settings { task, rejects_max_ratio }));
        }
    }

    /// Counts a record of a shard with `rows` rows, unless that shard or its run is counted.
    pub fn record(&mut self, record: &Record, rows: u64, met: Met) {
        let key = key_of(&record.run);
        if self.concluded.contains(&key) {
            return;
        }
        let open = self.open.entry(key).or_default();
        if !open.counted.insert(record.shard) || record.inherited_from.is_some() {
            return;
        }
        open.sums.add_record(record, rows);
        if met == Met::Now
            && let Verdict::Committed(committed) = &record.verdict
        {
            let timing = &committed.timing;
            self.seconds.observe(timing.read_s + timing.infer_s + timing.write_s);
        }
    }

    /// Counts a run by its final. `before` are the totals of the run that it inherited from, if
    /// they are known; they are not needed for a run that inherited nothing, or of which every
    /// record is counted.
    ///
    /// # Errors
    /// [`Unknown`] if it cannot be told what the run did itself. Nothing is changed then.
    pub fn conclude(&mut self, ending: &Ending, before: Option<&Totals>) -> Result<(), Unknown> {
        let key = (ending.partition, ending.generation);
        if self.concluded.contains(&key) {
            return Ok(());
        }
        let open = self.open.get(&key);
        let counted = open.filter(|open| u64::from(open.counted.len()) == ending.totals.shards);
        let sums = counted.map(|open| open.sums.clone());
        let sums = sums
            .or_else(|| Sums::of_own(&ending.totals, before))
            .ok_or(Unknown { partition: ending.partition, generation: ending.generation })?;
        self.open.remove(&key);
        self.concluded.insert(key);
        self.closed.merge(&sums);
        *self.runs.entry(ending.outcome).or_default() += 1;
        match ending.outcome {
            Outcome::Succeeded => {
                self.last_success = self.last_success.max(Some(ending.decided_at));
                if let Some(pending) = &mut self.pending {
                    pending.remove(&ending.partition);
                }
            }
            Outcome::Partial | Outcome::Failed => {
                self.last_failure = self.last_failure.max(Some(ending.decided_at));
            }
            Outcome::Withheld => {}
        }
        Ok(())
    }

    /// Counts what a person decided about the withheld run that ended like this, unless it is
    /// counted. The date waits for nobody any more; an approved run is a success from then on, of
    /// the moment when its last shard was decided, like any other.
    pub fn judge(&mut self, ending: &Ending, judgement: Judgement) {
        let key = (ending.partition, ending.generation);
        if self.judged.contains_key(&key) {
            return;
        }
        self.judged.insert(key, judgement);
        if judgement == Judgement::Approved {
            self.last_success = self.last_success.max(Some(ending.decided_at));
        }
        if let Some(pending) = &mut self.pending {
            pending.remove(&ending.partition);
        }
    }

    /// Whether a run is counted by its final.
    pub fn has_concluded(&self, partition: Partition, generation: Generation) -> bool {
        self.concluded.contains(&(partition, generation))
    }

    /// Takes in what a backfill decided, in the place of what the one before did.
    pub fn decided(&mut self, decided: &[Decided]) {
        let pending = decided.iter().filter(|one| is_pending(&one.instruction));
        self.pending = Some(pending.map(|one| one.partition).collect());
    }

    /// All that the store had has been counted.
    pub fn surveyed(&mut self) {
        self.surveyed = true;
    }

    /// What the account says; none as long as the store has not been counted.
    pub fn figures(&self) -> Option<Figures> {
        if !self.surveyed {
            return None;
        }
        let mut sums = self.closed.clone();
        self.open.values().for_each(|open| sums.merge(&open.sums));
        let mut judged = BTreeMap::new();
        self.judged.values().for_each(|judgement| *judged.entry(*judgement).or_default() += 1);
        Some(Figures {
            sums,
            newest: self.newest.as_ref().map(|(_, settings)| settings.clone()),
            runs: self.runs.clone(),
            judged,
            last_success: self.last_success,
            last_failure: self.last_failure,
            pending: self.pending.as_ref().map(Pending::of),
            seconds: self.seconds.clone(),
        })
    }
}

// === impl Pending ===

impl Pending {
    fn of(dates: &BTreeSet<Partition>) -> Self {
        let date = |partition: &Partition| match partition {
            Partition::Date(date) => Some(*date),
            Partition::All => None,
        };
        let oldest = dates.iter().filter_map(date).min();
        let oldest = oldest.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        Self { dates: dates.len() as u64, oldest: oldest.map(|zoned| zoned.timestamp()) }
    }
}

/// Whether somebody or something still has to act: a date without input waits for nobody here,
/// and one that a person has rejected is decided.
fn is_pending(instruction: &Instruction) -> bool {
    let settled =
        matches!(instruction, Instruction::NoInput | Instruction::Held { rejected: true, .. });
    instruction.is_pending() && !settled
}

fn key_of(run: &RunId) -> RunKey {
    (run.partition, run.generation)
}

#[cfg(test)]
mod tests;

//! What the collector may remove: facts about the generations of one date in, a fate for each out.
//!
//! Documents (claims, plans, records, finals) stay for ever: they are small, and they are the
//! memory that a date was done. What goes is data: the visible files of a generation, and what
//! its attempts staged. A generation goes when all of this is true:
//!
//! 1. It has its final, and is not the newest generation that is claimed or concluded.
//! 2. A newer generation has succeeded.
//! 3. At least [`Retention::succeeded`] newer ones have succeeded; or, if it ended partial or
//!    failed, at least [`Retention::failed`] newer ones ended so.
//! 4. That has been so for [`Retention::superseded`], which is the time that readers have to end.
//! 5. No undecided generation takes its committed shards over.
//!
//! No lock is needed against a run that inherits while the collector works. A generation is
//! claimed once, as the number after the newest one, and takes over from that newest one alone;
//! the newest is kept (1). A claim that was made earlier is a fact that the collector has read (5).
//! So whatever is claimed later names only data of what is kept here, or of generations that did
//! not exist when the facts were read, which the collector does not touch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::conclusion::FinalState;
use crate::document::{Document, Kind};
use crate::ids::{Generation, RunId};
use crate::spec::Retention;

/// `removals/<partition>/g<n>.json`: the data of this generation was given up. Created before
/// the first file goes, so that what is missing afterwards is never taken for damage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Layout version of this document.
    pub version: u32,
    /// The run whose data is removed.
    pub run: RunId,
    /// The newest generation that had succeeded then.
    pub superseded_by: Generation,
    /// Who removed it, for people: host and process.
    pub removed_by: String,
    /// When, by that process's clock.
    pub removed_at: Timestamp,
}

impl Document for Removal {
    const KIND: Kind = Kind::Removal;
    const VERSION: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

/// What is known of one generation of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationFacts {
    /// Which.
    pub generation: Generation,
    /// Whether it is decided.
    pub standing: Standing,
    /// The generation whose committed shards its claim takes over.
    pub inherits: Option<Generation>,
}

/// Whether a generation is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has no final; or somebody still has to say whether its output may be seen.
    Undecided,
    /// It has its final.
    Concluded {
        /// The verdict.
        state: FinalState,
        /// When its last shard was decided, by that worker's clock.
        decided_at: Timestamp,
    },
}

/// What becomes of the data of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is undecided: nothing of it is touched.
    Untouched,
    /// What its records name stays. With `sweep`, what attempts have staged that no record
    /// names goes: the verdict is old enough for every attempt to have ended.
    Kept {
        /// Why.
        because: Kept,
        /// Whether the data of lost attempts goes.
        sweep: bool,
    },
    /// Its files go.
    Removed {
        /// The newest generation that has succeeded, which readers use instead.
        superseded_by: Generation,
    },
}

/// Why the data of a decided generation stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// It is the newest: a later generation may take its shards over.
    Newest,
    /// Nothing newer has succeeded.
    NothingBetter,
    /// An undecided generation takes its shards over.
    Inherited,
    /// It is one of the newest that the spec says to keep.
    Counted,
    /// It is superseded, but not for long enough.
    Grace,
}

/// Decides about all generations of one date, which are given in any order.
pub fn judge(
    facts: &[GenerationFacts],
    retention: &Retention,
    now: Timestamp,
) -> Vec<(Generation, Fate)> {
    let date = Date { facts, retention, now };
    facts.iter().map(|one| (one.generation, date.fate(one))).collect()
}

/// The generations of one date, and what they are judged by.
struct Date<'a> {
    facts: &'a [GenerationFacts],
    retention: &'a Retention,
    now: Timestamp,
}

impl Date<'_> {
    fn fate(&self, one: &GenerationFacts) -> Fate {
        let Standing::Concluded { state, decided_at } = one.standing else {
            return Fate::Untouched;
        };
        match self.removable(one.generation, state) {
            Ok(superseded_by) => Fate::Removed { superseded_by },
            Err(because) => Fate::Kept { because, sweep: self.is_past(decided_at) },
        }
    }

    /// The generation that readers use instead, or why this one stays.
    fn removable(&self, generation: Generation, state: FinalState) -> Result<Generation, Kept> {
        let newest = self.facts.iter().map(|one| one.generation).max();
        if newest == Some(generation) {
            return Err(Kept::Newest);
        }
        let succeeded = self.newer(generation, |state| state == FinalState::Succeeded);
        let Some(&(superseded_by, _)) = succeeded.iter().max() else {
            return Err(Kept::NothingBetter);
        };
        let inherits = |one: &GenerationFacts| {
            one.standing == Standing::Undecided && one.inherits == Some(generation)
        };
        if self.facts.iter().any(inherits) {
            return Err(Kept::Inherited);
        }
        let since = match state {
            FinalState::Succeeded => reached(&succeeded, self.retention.succeeded),
            FinalState::Partial | FinalState::Failed => {
                let failed = self.newer(generation, |state| state != FinalState::Succeeded);
                let counted = reached(&failed, self.retention.failed);
                counted.and_then(|since| Some(since.max(reached(&succeeded, 1)?)))
            }
        };
        match since {
            None => Err(Kept::Counted),
            Some(since) if self.is_past(since) => Ok(superseded_by),
            Some(_) => Err(Kept::Grace),
        }
    }

    /// Decided generations after `generation` whose state is `wanted`, and when they were decided.
    fn newer(
        &self,
        generation: Generation,
        wanted: impl Fn(FinalState) -> bool,
    ) -> Vec<(Generation, Timestamp)> {
        let decided = |one: &GenerationFacts| match one.standing {
            Standing::Concluded { state, decided_at }
                if one.generation > generation && wanted(state) =>
            {
                Some((one.generation, decided_at))
            }
            _ => None,
        };
        self.facts.iter().filter_map(decided).collect()
    }

    /// Whether the grace since `then` is over. A span that no calendar holds never is.
    fn is_past(&self, then: Timestamp) -> bool {
        then.checked_add(self.retention.superseded).is_ok_and(|end| end <= self.now)
    }
}

/// When `count` of the generations were decided; none while there are fewer.
fn reached(decided: &[(Generation, Timestamp)], count: u32) -> Option<Timestamp> {
    let Some(last) = (count as usize).checked_sub(1) else { return Some(Timestamp::MIN) };
    let mut times: Vec<Timestamp> = decided.iter().map(|(_, at)| *at).collect();
    times.sort_unstable();
    times.get(last).copied()
}

#[cfg(test)]
mod tests;

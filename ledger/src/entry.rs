//! What the ledger says about one date.

use jiff::Timestamp;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::ids::{Digest, Generation, Partition, RunId, SpecName};
use nightshift_core::root::RootId;
use serde::{Deserialize, Serialize};

/// The final of the highest concluded generation of a date, in short.
///
/// It names the output root itself, so that it says by its own bytes which output it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateEntry {
    /// The output root that has the final.
    pub root: RootId,
    /// The run that was concluded.
    pub run: RunId,
    /// Its generation, for whoever reads the entry without taking the run id apart.
    pub generation: Generation,
    /// The verdict.
    pub state: FinalState,
    /// Whether a gate keeps the output from readers: until somebody has approved it and it is
    /// published. What a person decided stands in the store.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// The plan's fingerprint: says whether the date is stale.
    pub fingerprint: Digest,
    /// Digest of the model; entries of versions before 0.2 do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Digest>,
    /// Rows in the plan.
    pub rows: u64,
    /// When the last shard was decided.
    pub finished_at: Timestamp,
}

/// A date whose input was looked for and is not there.
///
/// A hint for people, and the only thing in a ledger that says what is not: nothing is decided by
/// it, so the date is looked at again each time. It may be old, or be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The output root that the date has no final in.
    pub root: RootId,
    /// When its input was first missed.
    pub since: Timestamp,
    /// When its input was last missed.
    pub looked_at: Timestamp,
}

/// How far a run is, as a hint for people: nothing is decided by it, and it may be old or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Shards in the plan.
    pub shards: u64,
    /// Shards that have a record.
    pub decided: u64,
    /// Rows in the plan.
    pub rows: u64,
    /// Rows of the shards that have a record, and of those under way as far as is known.
    pub rows_done: u64,
    /// When this was so.
    pub at: Timestamp,
}

/// What is left out when it is false.
fn is_false(it: &bool) -> bool {
    !it
}

impl Gap {
    /// The first look for the input of a date, at `now`.
    pub fn first(root: &RootId, now: Timestamp) -> Self {
        Self { root: root.clone(), since: now, looked_at: now }
    }

    /// Whether the date was done meanwhile, or at least run after the look, so that the gap says
    /// nothing any more.
    pub fn is_closed_by(&self, entry: &DateEntry) -> bool {
        let done = entry.state == FinalState::Succeeded;
        entry.root == self.root && (done || entry.finished_at >= self.looked_at)
    }

    /// This look, after the one that the ledger has.
    #[must_use]
    pub fn after(self, held: Option<&Self>) -> Self {
        match held.filter(|held| held.root == self.root) {
            None => self,
            Some(held) => Self {
                since: held.since.min(self.since),
                looked_at: held.looked_at.max(self.looked_at),
                ..self
            },
        }
    }
}

impl DateEntry {
    /// The entry of a stored final.
    pub fn new(root: &RootId, verdict: &Final) -> Self {
        Self {
            root: root.clone(),
            run: verdict.run.clone(),
            generation: verdict.run.generation,
            state: verdict.state,
            withheld: verdict.waits_for_approval(),
            fingerprint: verdict.fingerprint,
            model: Some(verdict.model_digest),
            rows: verdict.totals.rows_in,
            finished_at: verdict.decided_at,
        }
    }

    /// The entry of the same final once a person has approved it and its `_SUCCESS` is written.
    #[must_use]
    pub fn published(self) -> Self {
        Self { withheld: false, ..self }
    }

    /// Whether this entry says more than `held`, or the same: of a later generation, or of the same
    /// one and not from before its approval.
    pub fn is_at_least(&self, held: &Self) -> bool {
        let (this, that) = (self.generation, held.generation);
        this > that || (this == that && (held.withheld || !self.withheld))
    }

    /// Whether the entry is about this date of this spec.
    pub fn is_about(&self, name: &SpecName, partition: Partition) -> bool {
        let RunId { name: of, partition: about, generation } = &self.run;
        of == name && *about == partition && *generation == self.generation
    }

    /// The date, or `all`.
    pub fn partition(&self) -> Partition {
        self.run.partition
    }

    /// Whether this entry makes the shards of `run` needless: the run itself, or a later one
    /// of its date, is concluded.
    pub fn concludes(&self, root: &RootId, run: &RunId) -> bool {
        self.root == *root
            && self.run.partition == run.partition
            && self.generation >= run.generation
    }
}

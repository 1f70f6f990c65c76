//! The final: the write-once verdict of a run, a pure function of plan and records (I5).
//!
//! Two processes that see all records compute the same bytes, so whoever creates the final
//! first, its content is the same. That is why it holds no clock reading of its own: its
//! times are the records' times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{Digest, RunId, ShardIndex};
use crate::plan::Planned;
use crate::record::{FailureClass, InvalidRecord, Record};
use crate::scores::Scores;

mod tally;

pub use tally::Tally;

/// Most quarantined shards that a final spells out; the rest are counted.
pub const QUARANTINED_SHOWN_MAX: usize = 1_000;

/// `finals/<partition>/g<n>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Final {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The verdict.
    pub state: FinalState,
    /// The plan's fingerprint.
    pub fingerprint: Digest,
    /// The plan's model.
    pub model_digest: Digest,
    /// When the plan was made.
    pub planned_at: Timestamp,
    /// When the last shard was decided; the plan's time for a run without shards.
    pub decided_at: Timestamp,
    /// Sums over the records.
    pub totals: Totals,
    /// Shards that were given up, the first [`QUARANTINED_SHOWN_MAX`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<QuarantinedShard>,
    /// Statistics of the numeric output columns of all committed shards whose records have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// Verdicts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalState {
    /// Every shard is committed.
    Succeeded,
    /// Some are.
    Partial,
    /// None is.
    Failed,
}

impl FinalState {
    /// The name in documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// Sums over the records of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Shards in the plan.
    pub shards: u64,
    /// Shards committed.
    pub committed: u64,
    /// Shards given up.
    pub quarantined: u64,
    /// Of the committed shards, those taken over from an earlier generation.
    pub inherited: u64,
    /// Rows in the plan.
    pub rows_in: u64,
    /// Rows in output files.
    pub rows_out: u64,
    /// Rows in rejects files.
    pub rows_rejected: u64,
    /// Rows of quarantined shards.
    pub rows_quarantined: u64,
    /// Rejected rows by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Bytes of output files.
    pub output_bytes: u64,
    /// Seconds that the winning attempts spent reading.
    pub read_s: f64,
    /// Seconds that they spent in the model.
    pub infer_s: f64,
    /// Seconds that they spent encoding output.
    pub write_s: f64,
}

/// A shard that was given up, as the final names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantinedShard {
    /// The shard.
    pub shard: ShardIndex,
    /// Its rows.
    pub rows: u64,
    /// Kind of failure.
    pub class: FailureClass,
    /// Short name of the reason.
    pub reason: String,
    /// What happened and what to do.
    pub message: String,
}

/// Why a run has no final yet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotConcluded {
    /// Shards are undecided.
    #[error("{undecided} of {shards} shards are undecided, the first is shard {first}")]
    Undecided {
        /// How many.
        undecided: u64,
        /// Out of how many.
        shards: u64,
        /// The lowest of them.
        first: ShardIndex,
    },
    /// A record contradicts the plan.
    #[error("the record of shard {shard} contradicts the plan")]
    Invalid {
        /// The shard.
        shard: ShardIndex,
        /// How.
        source: InvalidRecord,
    },
    /// Records were counted in another order than that of their shards, which would give other
    /// last digits to the sums of seconds.
    #[error("the record of shard {shard} was counted after one of a later shard, or twice")]
    OutOfOrder {
        /// The shard.
        shard: ShardIndex,
    },
}

impl NotConcluded {
    /// Says how many of `shards` shards are not `decided`, if any is not.
    ///
    /// # Errors
    /// [`NotConcluded::Undecided`], and nothing else.
    pub fn check_undecided(
        shards: u32,
        decided: impl Fn(ShardIndex) -> bool,
    ) -> Result<(), NotConcluded> {
        let mut missing = (0..shards).map(ShardIndex).filter(|shard| !decided(*shard));
        let Some(first) = missing.next() else { return Ok(()) };
        let undecided = 1 + missing.count() as u64;
        Err(Self::Undecided { undecided, shards: shards.into(), first })
    }
}

impl Final {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;

    /// The final of a run, from its plan and the records of all of its shards.
    ///
    /// # Errors
    /// When a record is missing or contradicts the plan.
    pub fn conclude(
        plan: &impl Planned,
        records: &BTreeMap<ShardIndex, Record>,
    ) -> Result<Self, NotConcluded> {
        NotConcluded::check_undecided(plan.shard_count(), |shard| records.contains_key(&shard))?;
        let mut tally = Tally::new(plan);
        records.iter().try_for_each(|(&shard, record)| tally.add(shard, record))?;
        tally.finish()
    }
}

#[cfg(test)]
mod tests;

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
use crate::plan::Plan;
use crate::record::{FailureClass, InvalidRecord, Record, Verdict};

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
}

impl Final {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;

    /// The final of a run, from its plan and the records of all of its shards.
    ///
    /// # Errors
    /// When a record is missing or contradicts the plan.
    pub fn conclude(
        plan: &Plan,
        records: &BTreeMap<ShardIndex, Record>,
    ) -> Result<Self, NotConcluded> {
        let undecided = plan.indexes().filter(|shard| !records.contains_key(shard));
        let (mut missing, mut first) = (0_u64, None);
        for shard in undecided {
            missing += 1;
            first = first.or(Some(shard));
        }
        if let Some(first) = first {
            let shards = plan.shard_count().into();
            return Err(NotConcluded::Undecided { undecided: missing, shards, first });
        }
        let mut totals =
            Totals { shards: plan.shard_count().into(), rows_in: plan.rows, ..Totals::default() };
        let mut quarantined = Vec::new();
        let mut decided_at = plan.planned_at;
        for (&shard, record) in records {
            record.check(plan, shard).map_err(|source| NotConcluded::Invalid { shard, source })?;
            decided_at = decided_at.max(record.decided_at);
            let rows = plan.shard(shard).map_or(0, crate::plan::Shard::rows);
            totals.add(record, rows);
            if let Verdict::Quarantined(q) = &record.verdict
                && quarantined.len() < QUARANTINED_SHOWN_MAX
            {
                quarantined.push(QuarantinedShard {
                    shard,
                    rows,
                    class: q.class,
                    reason: q.reason.clone(),
                    message: q.message.clone(),
                });
            }
        }
        Ok(Self {
            version: Self::VERSION,
            run: plan.run.clone(),
            state: totals.state(),
            fingerprint: plan.fingerprint,
            model_digest: plan.model.digest,
            planned_at: plan.planned_at,
            decided_at,
            totals,
            quarantined,
        })
    }
}

impl Totals {
    fn add(&mut self, record: &Record, rows: u64) {
        let c = match &record.verdict {
            Verdict::Committed(committed) => committed,
            Verdict::Quarantined(_) => {
                self.quarantined += 1;
                self.rows_quarantined += rows;
                return;
            }
        };
        self.committed += 1;
        self.inherited += u64::from(record.inherited_from.is_some());
        self.rows_out += c.rows_out;
        self.rows_rejected += c.rows_rejected;
        self.output_bytes += c.output.size_bytes;
        for (reason, count) in &c.rejects_by_reason {
            *self.rejects_by_reason.entry(reason.clone()).or_default() += count;
        }
        // An inherited shard cost this run nothing.
        if record.inherited_from.is_none() {
            self.read_s += c.timing.read_s;
            self.infer_s += c.timing.infer_s;
            self.write_s += c.timing.write_s;
        }
    }

    fn state(&self) -> FinalState {
        match (self.committed, self.quarantined) {
            (_, 0) => FinalState::Succeeded,
            (0, _) => FinalState::Failed,
            _ => FinalState::Partial,
        }
    }
}

#[cfg(test)]
mod tests;

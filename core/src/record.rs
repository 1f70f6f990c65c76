//! The record: the write-once verdict of one shard, and the commit point of everything.
//!
//! A shard is done exactly when `records/<shard>.json` exists. Whatever leases, clocks or
//! processes did before, the first record to be created decides which attempt's data counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{AttemptId, Digest, RunId, ShardIndex};
use crate::layout::Object;
use crate::plan::Planned;
use crate::scores::Scores;

/// Largest stored record, in bytes.
pub const RECORD_MAX_BYTES: usize = 64 << 10;
/// Longest message kept in a record, in characters; leaves ample room under [`RECORD_MAX_BYTES`].
pub const MESSAGE_MAX_CHARS: usize = 2_000;

/// Reason of shards that were given up because the canary of their run failed.
pub const CANARY_FAILED: &str = "canary_failed";

/// `runs/<run>/records/<shard>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The shard.
    pub shard: ShardIndex,
    /// The attempt that won.
    pub attempt: AttemptId,
    /// Who made the attempt, for people: host and process.
    pub worker: String,
    /// When the verdict was reached, by the worker's clock.
    pub decided_at: Timestamp,
    /// The earlier run whose committed data this record takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited_from: Option<RunId>,
    /// What was decided.
    pub verdict: Verdict,
}

/// What was decided about a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its rows are in the named files.
    Committed(Box<Committed>),
    /// It is given up for this run.
    Quarantined(Quarantined),
}

/// The data of a committed shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committed {
    /// Rows read.
    pub rows_in: u64,
    /// Rows in the output file.
    pub rows_out: u64,
    /// Rows in the rejects file.
    pub rows_rejected: u64,
    /// Rejected rows by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Rows whose text was longer than the model takes, and was cut. Not in records of earlier
    /// releases, nor where there are none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rows_cut: u64,
    /// The output file.
    pub output: StoredFile,
    /// The rejects file, where a row was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<StoredFile>,
    /// Digest of the model that scored the rows.
    pub model_digest: Digest,
    /// Where the time went.
    pub timing: Timing,
    /// Statistics of the numeric columns of the output; none in records of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// Whether a count need not be written.
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A file as it was staged; the visible file is a link to or a copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// Where it was staged, as a path relative to the output root.
    #[serde(with = "object_path")]
    pub staged: Object,
    /// Where people see it, likewise.
    #[serde(with = "object_path")]
    pub visible: Object,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
}

/// Paths in stored documents go through the layout both ways, so that a document that names a
/// place outside of it cannot be read.
mod object_path {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::layout::Object;

    pub(super) fn serialize<S: Serializer>(object: &Object, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(object)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Object, D::Error> {
        let text = String::deserialize(from)?;
        Object::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text:.100}` is not a path of the layout"))
        })
    }
}

/// Where one attempt's time went, in seconds of its worker's clock.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Decoding input.
    pub read_s: f64,
    /// In the model.
    pub infer_s: f64,
    /// Encoding output.
    pub write_s: f64,
    /// What the worker's threads spent on nothing that counts since its record before this one,
    /// where the worker keeps account of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<Overhead>,
}

/// Seconds of a worker's threads that made no row, charged to its next record: so that what a
/// run cost follows from its records, whoever looks at them.
///
/// A worker that takes shards of several runs charges all of it to the run of its next record.
/// What a process spent that died before another record is in nobody's account.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overhead {
    /// Loading the model.
    pub load_s: f64,
    /// Attempts that came to nothing, and those of which another attempt's record counts.
    pub lost_s: f64,
    /// Waiting for a shard.
    pub idle_s: f64,
}

/// Why a shard was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Kind of failure.
    pub class: FailureClass,
    /// Short name under which failures are counted, as in `rejects_over_budget`.
    pub reason: String,
    /// What happened and what to do, at most [`MESSAGE_MAX_CHARS`] characters.
    pub message: String,
    /// Attempts that were made, this one included.
    pub attempts: u32,
}

/// Kinds of failure; each has its own rule for what happens next (DESIGN, leases).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The worker was told to go; counts for nothing.
    Preempted,
    /// The worker vanished; counts against the crash budget.
    Lost,
    /// The outside world failed; tried again after a pause.
    Transient,
    /// The rows are at fault; no other attempt can do better.
    Data,
    /// Spec or model is at fault; every shard would fail, so the run stops.
    Config,
    /// A person said so.
    Cancelled,
}

impl FailureClass {
    /// The name in documents, reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::Lost => "lost",
            Self::Transient => "transient",
            Self::Data => "data",
            Self::Config => "config",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A record that contradicts the plan it claims to belong to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRecord {
    /// It names another run or shard than its path.
    #[error("the record is of shard {found_shard} of {found_run}, not of shard {shard} of {run}")]
    Elsewhere {
        /// The run it was read for.
        run: RunId,
        /// The shard it was read for.
        shard: ShardIndex,
        /// The run it names.
        found_run: RunId,
        /// The shard it names.
        found_shard: ShardIndex,
    },
    /// The plan has no such shard.
    #[error("the plan has no shard {shard}")]
    NoSuchShard {
        /// The shard.
        shard: ShardIndex,
    },
    /// Rows are missing or too many.
    #[error(
        "{planned} rows are planned, but {rows_in} were read, {rows_out} written and {rows_rejected} rejected"
    )]
    Rows {
        /// Rows in the plan.
        planned: u64,
        /// Rows read.
        rows_in: u64,
        /// Rows written.
        rows_out: u64,
        /// Rows rejected.
        rows_rejected: u64,
    },
    /// A column has statistics of other rows than those in the output.
    #[error("the statistics of `{column}` are of {found} rows, the output has {rows_out}")]
    Scores {
        /// The column.
        column: String,
        /// Rows of the statistics.
        found: u64,
        /// Rows written.
        rows_out: u64,
    },
    /// Another model than the planned one was used.
    #[error("the plan names model {planned}, the record {found}")]
    Model {
        /// Digest in the plan.
        planned: Digest,
        /// Digest in the record.
        found: Digest,
    },
}

impl Record {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;

    /// The data, if the shard was committed.
    pub fn committed(&self) -> Option<&Committed> {
        match &self.verdict {
            Verdict::Committed(committed) => Some(committed),
            Verdict::Quarantined(_) => None,
        }
    }

    /// Checks the record of `shard` against its plan: invariant I1 for one shard.
    ///
    /// # Errors
    /// See [`InvalidRecord`].
    pub fn check(&self, plan: &impl Planned, shard: ShardIndex) -> Result<(), InvalidRecord> {
        if self.run != *plan.run() || self.shard != shard {
            return Err(InvalidRecord::Elsewhere {
                run: plan.run().clone(),
                shard,
                found_run: self.run.clone(),
                found_shard: self.shard,
            });
        }
        let planned = plan.shard_rows(shard).ok_or(InvalidRecord::NoSuchShard { shard })?;
        let Verdict::Committed(c) = &self.verdict else { return Ok(()) };
        if c.rows_in != planned || c.rows_out.checked_add(c.rows_rejected) != Some(planned) {
            return Err(InvalidRecord::Rows {
                planned,
                rows_in: c.rows_in,
                rows_out: c.rows_out,
                rows_rejected: c.rows_rejected,
            });
        }
        let columns = c.scores.iter().flat_map(Scores::columns);
        if let Some(other) = columns.into_iter().find(|column| column.rows() != c.rows_out) {
            return Err(InvalidRecord::Scores {
                column: other.name().to_owned(),
                found: other.rows(),
                rows_out: c.rows_out,
            });
        }
        let planned = plan.model().digest;
        if c.model_digest != planned {
            return Err(InvalidRecord::Model { planned, found: c.model_digest });
        }
        Ok(())
    }
}

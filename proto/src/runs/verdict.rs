//! How a run ended, as its final has it.

use std::collections::BTreeMap;

use nightshift_core::conclusion::{Final, FinalState, QuarantinedShard, Totals};
use nightshift_core::gates::{Approval, GateOutcome, Judgement};
use nightshift_core::ids::{Digest, InvalidId};
use thiserror::Error;

use super::judge::{InvalidJudged, Judged};
use super::status::RunState;
use crate::field::{
    self, InvalidPart, InvalidSeconds, InvalidText, OutOfRange, UnknownValue, invalid_message,
};
use crate::leases;
use crate::limits::{ID_MAX_BYTES, MESSAGE_MAX_CHARS, QUARANTINED_SHOWN_MAX, REJECT_REASONS_MAX};
use crate::wire;

/// The verdict of a run without the list of its quarantined shards.
#[derive(Debug, Clone, PartialEq)]
pub struct RunVerdict {
    /// The verdict.
    pub state: FinalState,
    /// The plan's fingerprint.
    pub fingerprint: Digest,
    /// Digest of the plan's model.
    pub model_digest: Digest,
    /// Sums over the records.
    pub totals: Totals,
    /// Why the gate kept the output from readers; empty if none did.
    pub withheld: String,
    /// What a person decided about that; none if nobody has.
    pub judged: Option<Judged>,
}

/// Counts of rejected rows by reason cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidReasons {
    /// There are too many reasons.
    #[error("it has {count} reasons; at most {max} are allowed")]
    TooMany {
        /// Reasons that there are.
        count: usize,
        /// Reasons that there may be.
        max: usize,
    },
    /// One of the reasons is refused.
    #[error("one of its reasons is refused")]
    Reason {
        /// Why.
        source: InvalidText,
    },
}

invalid_message!(InvalidRunVerdict of "the verdict" {
    State: UnknownValue = "state",
    Fingerprint: InvalidId = "fingerprint",
    ModelSha256: InvalidId = "model_sha256",
    Totals: InvalidPart<InvalidTotals> = "totals",
    Withheld: InvalidText = "withheld",
    Judged: InvalidJudged = "judged",
});

invalid_message!(InvalidTotals of "the totals" {
    RejectsByReason: InvalidReasons = "rejects_by_reason",
    ReadS: InvalidSeconds = "read_s",
    InferS: InvalidSeconds = "infer_s",
    WriteS: InvalidSeconds = "write_s",
});

invalid_message!(InvalidQuarantinedShard of "the quarantined shard" {
    Shard: OutOfRange = "shard",
    Class: UnknownValue = "class",
    Reason: InvalidText = "reason",
    Message: InvalidText = "message",
});

// === impl RunVerdict ===

impl RunVerdict {
    /// The verdict of a final with what a person decided about it, and the first of its quarantined shards, as many as a reply shows.
    pub fn of(verdict: &Final, approval: Option<Approval>) -> (Self, Vec<QuarantinedShard>) {
        let shown = verdict.quarantined.iter().take(QUARANTINED_SHOWN_MAX).cloned().collect();
        let short = Self {
            state: verdict.state,
            fingerprint: verdict.fingerprint,
            model_digest: verdict.model_digest,
            totals: verdict.totals.clone(),
            withheld: withheld(verdict),
            judged: approval.map(Judged::of),
        };
        (short, shown)
    }
}

impl RunVerdict {
    /// Whether readers may see the output of a run that succeeded: no gate kept it, or a person
    /// approved it.
    pub fn is_accepted(&self) -> bool {
        let judged = self.judged.as_ref().map(|judged| judged.judgement);
        self.withheld.is_empty() || judged == Some(Judgement::Approved)
    }
}

/// The failed checks of a withheld run, as long as a message may be.
fn withheld(verdict: &Final) -> String {
    let gate = verdict.gate.as_ref().filter(|_| verdict.waits_for_approval());
    let reasons = gate.map(GateOutcome::reasons).unwrap_or_default();
    reasons.chars().take(MESSAGE_MAX_CHARS).collect()
}

impl From<RunVerdict> for wire::Verdict {
    fn from(verdict: RunVerdict) -> Self {
        Self {
            state: wire::RunState::from(RunState::from(verdict.state)).into(),
            fingerprint: verdict.fingerprint.to_string(),
            model_sha256: verdict.model_digest.to_string(),
            totals: Some(verdict.totals.into()),
            withheld: verdict.withheld,
            judged: verdict.judged.map(Into::into),
        }
    }
}

impl TryFrom<wire::Verdict> for RunVerdict {
    type Error = InvalidRunVerdict;

    fn try_from(wire: wire::Verdict) -> Result<Self, InvalidRunVerdict> {
        use InvalidRunVerdict as Invalid;
        let state = field::choice::<wire::RunState, RunState>(wire.state)
            .and_then(|state| state.verdict().ok_or(UnknownValue { value: wire.state }))
            .map_err(|source| Invalid::State { source })?;
        Ok(Self {
            state,
            fingerprint: wire
                .fingerprint
                .parse()
                .map_err(|source| Invalid::Fingerprint { source })?,
            model_digest: wire
                .model_sha256
                .parse()
                .map_err(|source| Invalid::ModelSha256 { source })?,
            totals: field::part(wire.totals).map_err(|source| Invalid::Totals { source })?,
            withheld: field::prose(wire.withheld).map_err(|source| Invalid::Withheld { source })?,
            judged: wire
                .judged
                .map(Judged::try_from)
                .transpose()
                .map_err(|source| Invalid::Judged { source })?,
        })
    }
}

// === impl Totals ===

impl From<Totals> for wire::Totals {
    fn from(totals: Totals) -> Self {
        Self {
            shards: totals.shards,
            committed: totals.committed,
            quarantined: totals.quarantined,
            inherited: totals.inherited,
            rows_in: totals.rows_in,
            rows_out: totals.rows_out,
            rows_rejected: totals.rows_rejected,
            rows_quarantined: totals.rows_quarantined,
            rejects_by_reason: totals.rejects_by_reason,
            output_bytes: totals.output_bytes,
            read_s: totals.read_s,
            infer_s: totals.infer_s,
            write_s: totals.write_s,
        }
    }
}

impl TryFrom<wire::Totals> for Totals {
    type Error = InvalidTotals;

    fn try_from(wire: wire::Totals) -> Result<Self, InvalidTotals> {
        use InvalidTotals as Invalid;
        Ok(Self {
            shards: wire.shards,
            committed: wire.committed,
            quarantined: wire.quarantined,
            inherited: wire.inherited,
            rows_in: wire.rows_in,
            rows_out: wire.rows_out,
            rows_rejected: wire.rows_rejected,
            rows_quarantined: wire.rows_quarantined,
            rejects_by_reason: reasons(wire.rejects_by_reason)
                .map_err(|source| Invalid::RejectsByReason { source })?,
            output_bytes: wire.output_bytes,
            read_s: seconds(wire.read_s).map_err(|source| Invalid::ReadS { source })?,
            infer_s: seconds(wire.infer_s).map_err(|source| Invalid::InferS { source })?,
            write_s: seconds(wire.write_s).map_err(|source| Invalid::WriteS { source })?,
        })
    }
}

fn seconds(value: f64) -> Result<f64, InvalidSeconds> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(InvalidSeconds) }
}

fn reasons(counts: BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>, InvalidReasons> {
    let (count, max) = (counts.len(), REJECT_REASONS_MAX);
    if count > max {
        return Err(InvalidReasons::TooMany { count, max });
    }
    let named = |(reason, rows)| {
        let reason =
            field::set(reason, ID_MAX_BYTES).map_err(|source| InvalidReasons::Reason { source })?;
        Ok((reason, rows))
    };
    counts.into_iter().map(named).collect()
}

// === impl QuarantinedShard ===

impl From<QuarantinedShard> for wire::QuarantinedShard {
    fn from(shard: QuarantinedShard) -> Self {
        Self {
            shard: shard.shard.0,
            rows: shard.rows,
            class: wire::FailureClass::from(shard.class).into(),
            reason: shard.reason,
            message: shard.message,
        }
    }
}

impl TryFrom<wire::QuarantinedShard> for QuarantinedShard {
    type Error = InvalidQuarantinedShard;

    fn try_from(wire: wire::QuarantinedShard) -> Result<Self, InvalidQuarantinedShard> {
        use InvalidQuarantinedShard as Invalid;
        Ok(Self {
            shard: leases::shard(wire.shard).map_err(|source| Invalid::Shard { source })?,
            rows: wire.rows,
            class: field::choice::<wire::FailureClass, _>(wire.class)
                .map_err(|source| Invalid::Class { source })?,
            reason: field::set(wire.reason, ID_MAX_BYTES)
                .map_err(|source| Invalid::Reason { source })?,
            message: field::prose(wire.message).map_err(|source| Invalid::Message { source })?,
        })
    }
}

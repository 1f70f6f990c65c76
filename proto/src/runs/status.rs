//! How a run goes: the message that every call about runs answers with.

use jiff::Timestamp;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::ids::{InvalidId, RunId};
use nightshift_core::plan::SHARDS_MAX;
use thiserror::Error;

use crate::field::{
    self, InvalidMoment, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message,
    same_enum,
};
use crate::runs::{moment_in, moment_out};
use crate::wire;

/// How a run goes, small enough for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Its shards.
    pub shards: ShardCounts,
    /// Its rows.
    pub rows: RowCounts,
    /// Workers that hold a lease of it.
    pub workers: u32,
    /// Incarnation of the coordinator that owns its leases; 0 before the first.
    pub epoch: u64,
    /// When the plan was made.
    pub planned_at: Option<Timestamp>,
    /// When the last shard was decided.
    pub decided_at: Option<Timestamp>,
    /// For people: what the run waits for or why it is paused; may be empty.
    pub notice: String,
}

/// States of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Inputs are being listed and shards cut.
    Planning,
    /// A coordinator has just taken over and waits for the leases of the one before.
    Recovering,
    /// Shards are handed out.
    Running,
    /// Most attempts fail alike, so nothing is handed out.
    Paused,
    /// Every shard is decided, the verdict is being written.
    Concluding,
    /// Verdict: every shard is committed.
    Succeeded,
    /// Verdict: some are.
    Partial,
    /// Verdict: none is.
    Failed,
}

/// Shards of a run by what became of them; the parts add up to the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShardCounts {
    /// In the plan.
    pub total: u32,
    /// Decided, with data.
    pub committed: u32,
    /// Decided, given up.
    pub quarantined: u32,
    /// Under at least one lease.
    pub leased: u32,
    /// Waiting out a pause after a failure.
    pub delayed: u32,
    /// Free.
    pub ready: u32,
}

/// Rows of a run by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// In the plan.
    pub planned: u64,
    /// In output files of committed shards.
    pub out: u64,
    /// In rejects files of committed shards.
    pub rejected: u64,
    /// Of quarantined shards.
    pub quarantined: u64,
    /// A hint: read so far by attempts that are under way.
    pub under_way: u64,
}

/// The parts do not add up to the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidTotal {
    /// There are too many shards.
    #[error(transparent)]
    OutOfRange {
        /// How many, and how many there may be.
        source: OutOfRange,
    },
    /// The parts do not add up.
    #[error("it is {total}, but the parts add up to {sum}")]
    NotTheSum {
        /// The total.
        total: u64,
        /// Sum of the parts.
        sum: u64,
    },
}

same_enum!(
    RunState =
        RunState { Planning, Recovering, Running, Paused, Concluding, Succeeded, Partial, Failed }
);

invalid_message!(InvalidRunStatus of "the run" {
    Run: InvalidId = "run",
    State: UnknownValue = "state",
    Shards: InvalidPart<InvalidShardCounts> = "shards",
    Rows: InvalidPart<std::convert::Infallible> = "rows",
    PlannedAt: InvalidMoment = "planned_at",
    DecidedAt: InvalidMoment = "decided_at",
    Notice: InvalidText = "notice",
});

invalid_message!(InvalidShardCounts of "the shard counts" { Total: InvalidTotal = "total" });

// === impl RunState ===

impl RunState {
    /// The verdict, if there is one.
    pub fn verdict(self) -> Option<FinalState> {
        match self {
            Self::Succeeded => Some(FinalState::Succeeded),
            Self::Partial => Some(FinalState::Partial),
            Self::Failed => Some(FinalState::Failed),
            Self::Planning | Self::Recovering | Self::Running | Self::Paused | Self::Concluding => {
                None
            }
        }
    }
}

impl From<FinalState> for RunState {
    fn from(state: FinalState) -> Self {
        match state {
            FinalState::Succeeded => Self::Succeeded,
            FinalState::Partial => Self::Partial,
            FinalState::Failed => Self::Failed,
        }
    }
}

// === impl RunStatus ===

impl RunStatus {
    /// How a run ended, in the words of how it goes.
    pub fn concluded(verdict: &Final) -> Self {
        let totals = &verdict.totals;
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            run: verdict.run.clone(),
            state: verdict.state.into(),
            shards: ShardCounts {
                total: small(totals.shards),
                committed: small(totals.committed),
                quarantined: small(totals.quarantined),
                ..ShardCounts::default()
            },
            rows: RowCounts {
                planned: totals.rows_in,
                out: totals.rows_out,
                rejected: totals.rows_rejected,
                quarantined: totals.rows_quarantined,
                under_way: 0,
            },
            workers: 0,
            epoch: 0,
            planned_at: Some(verdict.planned_at),
            decided_at: Some(verdict.decided_at),
            notice: String::new(),
        }
    }
}

impl From<RunStatus> for wire::Run {
    fn from(status: RunStatus) -> Self {
        Self {
            run: status.run.to_string(),
            state: wire::RunState::from(status.state).into(),
            shards: Some(status.shards.into()),
            rows: Some(status.rows.into()),
            workers: status.workers,
            epoch: status.epoch,
            planned_at: status.planned_at.map(moment_out),
            decided_at: status.decided_at.map(moment_out),
            notice: status.notice,
        }
    }
}

impl TryFrom<wire::Run> for RunStatus {
    type Error = InvalidRunStatus;

    fn try_from(wire: wire::Run) -> Result<Self, InvalidRunStatus> {
        use InvalidRunStatus as Invalid;
        Ok(Self {
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            state: field::choice::<wire::RunState, _>(wire.state)
                .map_err(|source| Invalid::State { source })?,
            shards: field::part(wire.shards).map_err(|source| Invalid::Shards { source })?,
            rows: field::part(wire.rows).map_err(|source| Invalid::Rows { source })?,
            workers: wire.workers,
            epoch: wire.epoch,
            planned_at: moment_in(wire.planned_at)
                .map_err(|source| Invalid::PlannedAt { source })?,
            decided_at: moment_in(wire.decided_at)
                .map_err(|source| Invalid::DecidedAt { source })?,
            notice: field::prose(wire.notice).map_err(|source| Invalid::Notice { source })?,
        })
    }
}

// === impl ShardCounts ===

impl From<ShardCounts> for wire::ShardCounts {
    fn from(counts: ShardCounts) -> Self {
        let ShardCounts { total, committed, quarantined, leased, delayed, ready } = counts;
        Self { total, committed, quarantined, leased, delayed, ready }
    }
}

impl TryFrom<wire::ShardCounts> for ShardCounts {
    type Error = InvalidShardCounts;

    fn try_from(wire: wire::ShardCounts) -> Result<Self, InvalidShardCounts> {
        let wire::ShardCounts { total, committed, quarantined, leased, delayed, ready } = wire;
        field::within(total, 0, SHARDS_MAX).map_err(|source| InvalidShardCounts::Total {
            source: InvalidTotal::OutOfRange { source },
        })?;
        let parts = [committed, quarantined, leased, delayed, ready];
        let sum = parts.into_iter().map(u64::from).sum();
        if sum != u64::from(total) {
            let source = InvalidTotal::NotTheSum { total: total.into(), sum };
            return Err(InvalidShardCounts::Total { source });
        }
        Ok(Self { total, committed, quarantined, leased, delayed, ready })
    }
}

// === impl RowCounts ===

impl From<RowCounts> for wire::RowCounts {
    fn from(counts: RowCounts) -> Self {
        let RowCounts { planned, out, rejected, quarantined, under_way } = counts;
        Self { planned, out, rejected, quarantined, under_way }
    }
}

impl From<wire::RowCounts> for RowCounts {
    fn from(wire: wire::RowCounts) -> Self {
        let wire::RowCounts { planned, out, rejected, quarantined, under_way } = wire;
        Self { planned, out, rejected, quarantined, under_way }
    }
}

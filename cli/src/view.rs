//! A run of the coordinator as scripts read it, and the names of its states.

use jiff::Timestamp;
use nightshift_core::ids::RunId;
use nightshift_proto::runs::Decision;
use nightshift_proto::runs::status::{RunState, RunStatus};
use serde::Serialize;

use crate::prose;

/// A run in the JSON of `status`, `why` and `cancel`.
#[derive(Debug, Serialize)]
pub(crate) struct RunView {
    run: RunId,
    state: &'static str,
    shards: ShardsView,
    rows: RowsView,
    workers: u32,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    notice: String,
}

#[derive(Debug, Serialize)]
struct ShardsView {
    total: u32,
    committed: u32,
    quarantined: u32,
    leased: u32,
    delayed: u32,
    ready: u32,
}

#[derive(Debug, Serialize)]
struct RowsView {
    planned: u64,
    out: u64,
    rejected: u64,
    quarantined: u64,
    under_way: u64,
}

impl From<&RunStatus> for RunView {
    fn from(run: &RunStatus) -> Self {
        let (shards, rows) = (run.shards, run.rows);
        Self {
            run: run.run.clone(),
            state: state_name(run.state),
            shards: ShardsView {
                total: shards.total,
                committed: shards.committed,
                quarantined: shards.quarantined,
                leased: shards.leased,
                delayed: shards.delayed,
                ready: shards.ready,
            },
            rows: RowsView {
                planned: rows.planned,
                out: rows.out,
                rejected: rows.rejected,
                quarantined: rows.quarantined,
                under_way: rows.under_way,
            },
            workers: run.workers,
            epoch: run.epoch,
            planned_at: run.planned_at,
            decided_at: run.decided_at,
            notice: prose::harmless(&run.notice),
        }
    }
}

pub(crate) fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Planning => "planning",
        RunState::Recovering => "recovering",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Concluding => "concluding",
        RunState::Succeeded => "succeeded",
        RunState::Partial => "partial",
        RunState::Failed => "failed",
    }
}

pub(crate) fn decision_name(decision: Decision) -> &'static str {
    match decision {
        Decision::Done => "done",
        Decision::Join => "joined",
        Decision::Start => "started",
    }
}

/// Shards of a run that are decided.
pub(crate) fn decided(run: &RunStatus) -> u32 {
    // The parts add up to the total, so these two cannot overflow.
    run.shards.committed + run.shards.quarantined
}

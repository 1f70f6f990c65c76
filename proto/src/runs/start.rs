//! `Start`: run one partition, or join the run that is under way.

use nightshift_core::ids::{InvalidId, Partition};

use super::status::{InvalidRunStatus, RunStatus};
use super::{Decision, InvalidSpecSource, SpecSource};
use crate::field::{self, InvalidPart, InvalidText, UnknownValue, invalid_message};
use crate::names::{RequestId, Requester};
use crate::wire;

/// A wish for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRun {
    /// Id of the request; the same id starts nothing new.
    pub request: RequestId,
    /// The spec.
    pub spec: SpecSource,
    /// The date, or `all`.
    pub partition: Partition,
    /// Why a partition that is done is run again.
    pub forced: Option<String>,
    /// Who asks.
    pub requested_by: Requester,
}

/// What became of the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedRun {
    /// What was done.
    pub decision: Decision,
    /// The run.
    pub run: RunStatus,
}

invalid_message!(InvalidStartRun of "the start request" {
    RequestId: InvalidText = "request_id",
    Spec: InvalidPart<InvalidSpecSource> = "spec",
    Partition: InvalidId = "partition",
    ForceReason: InvalidText = "force_reason",
    RequestedBy: InvalidText = "requested_by",
});

invalid_message!(InvalidStartedRun of "the start response" {
    Decision: UnknownValue = "decision",
    Run: InvalidPart<InvalidRunStatus> = "run",
});

// === impl StartRun ===

impl From<StartRun> for wire::StartRequest {
    fn from(start: StartRun) -> Self {
        Self {
            request_id: start.request.to_string(),
            spec: Some(start.spec.into()),
            partition: start.partition.to_string(),
            force_reason: start.forced.unwrap_or_default(),
            requested_by: start.requested_by.to_string(),
        }
    }
}

impl TryFrom<wire::StartRequest> for StartRun {
    type Error = InvalidStartRun;

    fn try_from(wire: wire::StartRequest) -> Result<Self, InvalidStartRun> {
        use InvalidStartRun as Invalid;
        let forced =
            field::prose(wire.force_reason).map_err(|source| Invalid::ForceReason { source })?;
        Ok(Self {
            request: wire.request_id.parse().map_err(|source| Invalid::RequestId { source })?,
            spec: field::part(wire.spec).map_err(|source| Invalid::Spec { source })?,
            partition: wire.partition.parse().map_err(|source| Invalid::Partition { source })?,
            forced: Some(forced).filter(|reason| !reason.is_empty()),
            requested_by: wire
                .requested_by
                .parse()
                .map_err(|source| Invalid::RequestedBy { source })?,
        })
    }
}

// === impl StartedRun ===

impl From<StartedRun> for wire::StartResponse {
    fn from(started: StartedRun) -> Self {
        Self {
            decision: wire::Decision::from(started.decision).into(),
            run: Some(started.run.into()),
        }
    }
}

impl TryFrom<wire::StartResponse> for StartedRun {
    type Error = InvalidStartedRun;

    fn try_from(wire: wire::StartResponse) -> Result<Self, InvalidStartedRun> {
        use InvalidStartedRun as Invalid;
        Ok(Self {
            decision: field::choice::<wire::Decision, _>(wire.decision)
                .map_err(|source| Invalid::Decision { source })?,
            run: field::part(wire.run).map_err(|source| Invalid::Run { source })?,
        })
    }
}

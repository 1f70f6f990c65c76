//! `Cancel`: give up what is undecided.

use nightshift_core::ids::{InvalidId, RunId};

use super::status::{InvalidRunStatus, RunStatus};
use crate::field::{self, InvalidPart, InvalidText, invalid_message};
use crate::names::Requester;
use crate::wire;

/// A wish to end a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRun {
    /// The run.
    pub run: RunId,
    /// Why, for people; may be empty.
    pub reason: String,
    /// Who asks.
    pub requested_by: Requester,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledRun {
    /// The run; one that had a verdict is as it was.
    pub run: RunStatus,
}

invalid_message!(InvalidCancelRun of "the cancel request" {
    Run: InvalidId = "run",
    Reason: InvalidText = "reason",
    RequestedBy: InvalidText = "requested_by",
});

invalid_message!(InvalidCancelledRun of "the cancel response" {
    Run: InvalidPart<InvalidRunStatus> = "run",
});

// === impl CancelRun ===

impl From<CancelRun> for wire::CancelRequest {
    fn from(cancel: CancelRun) -> Self {
        Self {
            run: cancel.run.to_string(),
            reason: cancel.reason,
            requested_by: cancel.requested_by.to_string(),
        }
    }
}

impl TryFrom<wire::CancelRequest> for CancelRun {
    type Error = InvalidCancelRun;

    fn try_from(wire: wire::CancelRequest) -> Result<Self, InvalidCancelRun> {
        use InvalidCancelRun as Invalid;
        Ok(Self {
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            reason: field::prose(wire.reason).map_err(|source| Invalid::Reason { source })?,
            requested_by: wire
                .requested_by
                .parse()
                .map_err(|source| Invalid::RequestedBy { source })?,
        })
    }
}

// === impl CancelledRun ===

impl From<CancelledRun> for wire::CancelResponse {
    fn from(cancelled: CancelledRun) -> Self {
        Self { run: Some(cancelled.run.into()) }
    }
}

impl TryFrom<wire::CancelResponse> for CancelledRun {
    type Error = InvalidCancelledRun;

    fn try_from(wire: wire::CancelResponse) -> Result<Self, InvalidCancelledRun> {
        let run = field::part(wire.run).map_err(|source| InvalidCancelledRun::Run { source })?;
        Ok(Self { run })
    }
}

//! `Retry`: try the failed shards of a run again, in a new generation.

use nightshift_core::ids::{InvalidId, RunId};

use super::status::{InvalidRunStatus, RunStatus};
use crate::field::{self, InvalidPart, InvalidText, invalid_message};
use crate::names::{RequestId, Requester};
use crate::wire;

/// A wish to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryRun {
    /// Id of the request; the same id starts nothing new.
    pub request: RequestId,
    /// The run that ended partial or failed.
    pub run: RunId,
    /// Who asks.
    pub requested_by: Requester,
}

/// The answer to a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetriedRun {
    /// The new run.
    pub run: RunStatus,
}

invalid_message!(InvalidRetryRun of "the retry request" {
    RequestId: InvalidText = "request_id",
    Run: InvalidId = "run",
    RequestedBy: InvalidText = "requested_by",
});

invalid_message!(InvalidRetriedRun of "the retry response" {
    Run: InvalidPart<InvalidRunStatus> = "run",
});

// === impl RetryRun ===

impl From<RetryRun> for wire::RetryRequest {
    fn from(retry: RetryRun) -> Self {
        Self {
            request_id: retry.request.to_string(),
            run: retry.run.to_string(),
            requested_by: retry.requested_by.to_string(),
        }
    }
}

impl TryFrom<wire::RetryRequest> for RetryRun {
    type Error = InvalidRetryRun;

    fn try_from(wire: wire::RetryRequest) -> Result<Self, InvalidRetryRun> {
        use InvalidRetryRun as Invalid;
        Ok(Self {
            request: wire.request_id.parse().map_err(|source| Invalid::RequestId { source })?,
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            requested_by: wire
                .requested_by
                .parse()
                .map_err(|source| Invalid::RequestedBy { source })?,
        })
    }
}

// === impl RetriedRun ===

impl From<RetriedRun> for wire::RetryResponse {
    fn from(retried: RetriedRun) -> Self {
        Self { run: Some(retried.run.into()) }
    }
}

impl TryFrom<wire::RetryResponse> for RetriedRun {
    type Error = InvalidRetriedRun;

    fn try_from(wire: wire::RetryResponse) -> Result<Self, InvalidRetriedRun> {
        let run = field::part(wire.run).map_err(|source| InvalidRetriedRun::Run { source })?;
        Ok(Self { run })
    }
}

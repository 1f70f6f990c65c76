//! `Report`: a worker says how an attempt ended.

use nightshift_core::ids::{AttemptId, InvalidId};
use nightshift_core::record::FailureClass;

use super::{Directive, InvalidLeaseId, LeaseId};
use crate::field::{
    self, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message, same_enum,
};
use crate::names::{BatchSize, Reason, WorkerName};
use crate::wire;

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The worker.
    pub worker: WorkerName,
    /// The lease.
    pub lease: LeaseId,
    /// The attempt; for a committed shard the one that the record names.
    pub attempt: AttemptId,
    /// What came of it.
    pub outcome: Outcome,
    /// The batch size that the attempt ended with, if it had to make it smaller.
    pub batch_size: Option<BatchSize>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its record is the shard's record.
    Committed(Counts),
    /// Another attempt's record came first, which is a success too.
    Lost {
        /// The attempt that the record names.
        winner: AttemptId,
    },
    /// There is no record.
    Failed(Failure),
}

/// Rows of a committed shard, for progress; the record is what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the output file.
    pub rows_out: u64,
    /// Rows in the rejects file.
    pub rows_rejected: u64,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Kind of failure; never [`FailureClass::Cancelled`], which is for people to say.
    pub class: FailureClass,
    /// Short name of the reason.
    pub reason: Reason,
    /// For people: what happened and what to do.
    pub message: String,
}

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// What was made of it.
    pub state: ReportState,
    /// What the worker is to do.
    pub directive: Directive,
}

/// What the coordinator made of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportState {
    /// Taken in, or known already.
    Accepted,
    /// The lease is not held any more; there is nothing to repeat.
    Stale,
    /// A record is claimed that the store does not have; settle and report again.
    NoRecord,
}

same_enum!(ReportState = ReportState { Accepted, Stale, NoRecord });

invalid_message!(InvalidReport of "the report request" {
    WorkerId: InvalidText = "worker_id",
    Lease: InvalidPart<InvalidLeaseId> = "lease",
    Attempt: InvalidId = "attempt",
    Outcome: InvalidPart<InvalidOutcome> = "outcome",
    BatchSize: OutOfRange = "batch_size",
});

invalid_message!(InvalidOutcome of "the outcome" {
    Lost: InvalidLost = "lost",
    Failed: InvalidFailure = "failed",
});

invalid_message!(InvalidLost of "the lost attempt" { Winner: InvalidId = "winner" });

invalid_message!(InvalidFailure of "the failure" {
    Class: UnknownValue = "class",
    Reason: InvalidText = "reason",
    Message: InvalidText = "message",
});

invalid_message!(InvalidReported of "the report response" {
    State: UnknownValue = "state",
    Directive: UnknownValue = "directive",
});

// === impl Report ===

impl From<Report> for wire::ReportRequest {
    fn from(report: Report) -> Self {
        Self {
            worker_id: report.worker.to_string(),
            lease: Some(report.lease.into()),
            attempt: report.attempt.to_string(),
            outcome: Some(report.outcome.into()),
            batch_size: BatchSize::field(report.batch_size),
        }
    }
}

impl TryFrom<wire::ReportRequest> for Report {
    type Error = InvalidReport;

    fn try_from(wire: wire::ReportRequest) -> Result<Self, InvalidReport> {
        use InvalidReport as Invalid;
        Ok(Self {
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            lease: field::part(wire.lease).map_err(|source| Invalid::Lease { source })?,
            attempt: wire.attempt.parse().map_err(|source| Invalid::Attempt { source })?,
            outcome: field::part(wire.outcome).map_err(|source| Invalid::Outcome { source })?,
            batch_size: BatchSize::read(wire.batch_size)
                .map_err(|source| Invalid::BatchSize { source })?,
        })
    }
}

// === impl Outcome ===

impl From<Outcome> for wire::report_request::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed(Counts { rows_out, rows_rejected }) => {
                Self::Committed(wire::Committed { rows_out, rows_rejected })
            }
            Outcome::Lost { winner } => Self::Lost(wire::Lost { winner: winner.to_string() }),
            Outcome::Failed(failure) => Self::Failed(failure.into()),
        }
    }
}

impl TryFrom<wire::report_request::Outcome> for Outcome {
    type Error = InvalidOutcome;

    fn try_from(wire: wire::report_request::Outcome) -> Result<Self, InvalidOutcome> {
        use wire::report_request::Outcome as Wire;
        match wire {
            Wire::Committed(wire::Committed { rows_out, rows_rejected }) => {
                Ok(Self::Committed(Counts { rows_out, rows_rejected }))
            }
            Wire::Lost(lost) => {
                let winner = lost.winner.parse().map_err(|source| InvalidOutcome::Lost {
                    source: InvalidLost::Winner { source },
                })?;
                Ok(Self::Lost { winner })
            }
            Wire::Failed(failed) => {
                let failure =
                    failed.try_into().map_err(|source| InvalidOutcome::Failed { source })?;
                Ok(Self::Failed(failure))
            }
        }
    }
}

// === impl Failure ===

impl From<Failure> for wire::Failed {
    fn from(failure: Failure) -> Self {
        Self {
            class: wire::FailureClass::from(failure.class).into(),
            reason: failure.reason.to_string(),
            message: failure.message,
        }
    }
}

impl TryFrom<wire::Failed> for Failure {
    type Error = InvalidFailure;

    fn try_from(wire: wire::Failed) -> Result<Self, InvalidFailure> {
        use InvalidFailure as Invalid;
        let class = field::choice::<wire::FailureClass, _>(wire.class)
            .map_err(|source| Invalid::Class { source })?;
        if class == FailureClass::Cancelled {
            return Err(Invalid::Class { source: UnknownValue { value: wire.class } });
        }
        Ok(Self {
            class,
            reason: wire.reason.parse().map_err(|source| Invalid::Reason { source })?,
            message: field::prose(wire.message).map_err(|source| Invalid::Message { source })?,
        })
    }
}

// === impl Reported ===

impl From<Reported> for wire::ReportResponse {
    fn from(reported: Reported) -> Self {
        Self {
            state: wire::ReportState::from(reported.state).into(),
            directive: wire::Directive::from(reported.directive).into(),
        }
    }
}

impl TryFrom<wire::ReportResponse> for Reported {
    type Error = InvalidReported;

    fn try_from(wire: wire::ReportResponse) -> Result<Self, InvalidReported> {
        use InvalidReported as Invalid;
        Ok(Self {
            state: field::choice::<wire::ReportState, _>(wire.state)
                .map_err(|source| Invalid::State { source })?,
            directive: field::choice::<wire::Directive, _>(wire.directive)
                .map_err(|source| Invalid::Directive { source })?,
        })
    }
}

//! `Heartbeat`: a worker lives, and keeps its leases.

use super::{Directive, InvalidLeaseId, LeaseId, Phase};
use crate::field::{
    self, InvalidList, InvalidPart, InvalidText, UnknownValue, invalid_message, same_enum,
};
use crate::limits::LEASES_MAX;
use crate::names::WorkerName;
use crate::wire;

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The worker.
    pub worker: WorkerName,
    /// Every lease that it holds, at most [`LEASES_MAX`].
    pub leases: Vec<LeaseProgress>,
}

/// One lease in a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseProgress {
    /// The lease.
    pub lease: LeaseId,
    /// How far its attempt has come.
    pub phase: Phase,
    /// Rows read so far.
    pub rows_done: u64,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswered {
    /// One answer per lease, in the order of the heartbeat.
    pub answers: Vec<LeaseAnswer>,
    /// What the worker is to do.
    pub directive: Directive,
}

/// The answer for one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// The lease.
    pub lease: LeaseId,
    /// What became of it.
    pub state: LeaseState,
}

/// What became of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// Renewed, from the moment the heartbeat was sent.
    Ok,
    /// Taken away or no longer needed; an attempt that is committing finishes all the same.
    Revoked,
    /// Not known yet; keep working, the coordinator adopts the lease if the shard is free.
    Unknown,
}

same_enum!(LeaseState = LeaseState { Ok, Revoked, Unknown });

invalid_message!(InvalidHeartbeat of "the heartbeat request" {
    WorkerId: InvalidText = "worker_id",
    Leases: InvalidList<InvalidLeaseProgress> = "leases",
});

invalid_message!(InvalidLeaseProgress of "the lease's progress" {
    Lease: InvalidPart<InvalidLeaseId> = "lease",
    Phase: UnknownValue = "phase",
});

invalid_message!(InvalidHeartbeatAnswered of "the heartbeat response" {
    Answers: InvalidList<InvalidLeaseAnswer> = "answers",
    Directive: UnknownValue = "directive",
});

invalid_message!(InvalidLeaseAnswer of "the answer for a lease" {
    Lease: InvalidPart<InvalidLeaseId> = "lease",
    State: UnknownValue = "state",
});

// === impl Heartbeat ===

impl From<Heartbeat> for wire::HeartbeatRequest {
    fn from(heartbeat: Heartbeat) -> Self {
        Self { worker_id: heartbeat.worker.to_string(), leases: field::out(heartbeat.leases) }
    }
}

impl TryFrom<wire::HeartbeatRequest> for Heartbeat {
    type Error = InvalidHeartbeat;

    fn try_from(wire: wire::HeartbeatRequest) -> Result<Self, InvalidHeartbeat> {
        use InvalidHeartbeat as Invalid;
        Ok(Self {
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            leases: field::list(wire.leases, LEASES_MAX)
                .map_err(|source| Invalid::Leases { source })?,
        })
    }
}

// === impl LeaseProgress ===

impl From<LeaseProgress> for wire::LeaseProgress {
    fn from(progress: LeaseProgress) -> Self {
        Self {
            lease: Some(progress.lease.into()),
            phase: wire::Phase::from(progress.phase).into(),
            rows_done: progress.rows_done,
        }
    }
}

impl TryFrom<wire::LeaseProgress> for LeaseProgress {
    type Error = InvalidLeaseProgress;

    fn try_from(wire: wire::LeaseProgress) -> Result<Self, InvalidLeaseProgress> {
        use InvalidLeaseProgress as Invalid;
        Ok(Self {
            lease: field::part(wire.lease).map_err(|source| Invalid::Lease { source })?,
            phase: field::choice::<wire::Phase, _>(wire.phase)
                .map_err(|source| Invalid::Phase { source })?,
            rows_done: wire.rows_done,
        })
    }
}

// === impl HeartbeatAnswered ===

impl From<HeartbeatAnswered> for wire::HeartbeatResponse {
    fn from(answered: HeartbeatAnswered) -> Self {
        Self {
            answers: field::out(answered.answers),
            directive: wire::Directive::from(answered.directive).into(),
        }
    }
}

impl TryFrom<wire::HeartbeatResponse> for HeartbeatAnswered {
    type Error = InvalidHeartbeatAnswered;

    fn try_from(wire: wire::HeartbeatResponse) -> Result<Self, InvalidHeartbeatAnswered> {
        use InvalidHeartbeatAnswered as Invalid;
        Ok(Self {
            answers: field::list(wire.answers, LEASES_MAX)
                .map_err(|source| Invalid::Answers { source })?,
            directive: field::choice::<wire::Directive, _>(wire.directive)
                .map_err(|source| Invalid::Directive { source })?,
        })
    }
}

// === impl LeaseAnswer ===

impl From<LeaseAnswer> for wire::LeaseAnswer {
    fn from(answer: LeaseAnswer) -> Self {
        Self {
            lease: Some(answer.lease.into()),
            state: wire::LeaseState::from(answer.state).into(),
        }
    }
}

impl TryFrom<wire::LeaseAnswer> for LeaseAnswer {
    type Error = InvalidLeaseAnswer;

    fn try_from(wire: wire::LeaseAnswer) -> Result<Self, InvalidLeaseAnswer> {
        use InvalidLeaseAnswer as Invalid;
        Ok(Self {
            lease: field::part(wire.lease).map_err(|source| Invalid::Lease { source })?,
            state: field::choice::<wire::LeaseState, _>(wire.state)
                .map_err(|source| Invalid::State { source })?,
        })
    }
}

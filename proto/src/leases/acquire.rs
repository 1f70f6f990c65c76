//! `Acquire`: a worker asks for shards.

use nightshift_core::ids::{Digest, InvalidId, RunId};
use nightshift_core::layout::Object;

use super::{Directive, InvalidLeaseId, LeaseId};
use crate::field::{
    self, InvalidList, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message,
};
use crate::limits::{ACQUIRE_MAX, ACQUIRE_WAIT_MAX_MS, RETRY_AFTER_MAX_MS, TTL_MAX_MS};
use crate::names::{BatchSize, RequestId, TraceParent, WorkerName};
use crate::wire;

/// A request for shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// The worker.
    pub worker: WorkerName,
    /// Id of the request; the same id gets the same leases.
    pub request: RequestId,
    /// Most leases to grant, 1 to [`ACQUIRE_MAX`].
    pub max: u32,
    /// How long to wait for a shard, at most [`ACQUIRE_WAIT_MAX_MS`].
    pub wait_ms: u32,
    /// The run whose shards are wanted; none for any.
    pub run: Option<RunId>,
}

/// The answer to a request for shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// The leases.
    pub grants: Vec<Grant>,
    /// What the worker is to do.
    pub directive: Directive,
    /// How long to pause before the next request if there are no grants.
    pub retry_after_ms: u32,
    /// For people: why there are none.
    pub notice: String,
}

/// The right to try a shard, and all that a worker needs to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease: LeaseId,
    /// Attempts of this shard that ended before.
    pub earlier_attempts: u32,
    /// How long the lease lasts without a heartbeat, 1 to [`TTL_MAX_MS`].
    pub ttl_ms: u32,
    /// How often to send a heartbeat; less than the above.
    pub heartbeat_interval_ms: u32,
    /// The output root: an absolute path or a URI.
    pub output_root: String,
    /// SHA-256 of the plan document.
    pub plan_sha256: Digest,
    /// The shard's span, if it is traced.
    pub trace: Option<TraceParent>,
    /// Batch size that attempts of this run have learned.
    pub batch_size: Option<BatchSize>,
    /// Whether another worker holds a lease of the same shard.
    pub backup: bool,
    /// Whether the coordinator creates the records of this run.
    pub coordinator_creates_records: bool,
}

invalid_message!(InvalidAcquire of "the acquire request" {
    WorkerId: InvalidText = "worker_id",
    RequestId: InvalidText = "request_id",
    Max: OutOfRange = "max",
    WaitMs: OutOfRange = "wait_ms",
    Run: InvalidId = "run",
});

invalid_message!(InvalidAcquired of "the acquire response" {
    Grants: InvalidList<InvalidGrant> = "grants",
    Directive: UnknownValue = "directive",
    RetryAfterMs: OutOfRange = "retry_after_ms",
    Notice: InvalidText = "notice",
});

invalid_message!(InvalidGrant of "the grant" {
    Lease: InvalidPart<InvalidLeaseId> = "lease",
    TtlMs: OutOfRange = "ttl_ms",
    HeartbeatIntervalMs: OutOfRange = "heartbeat_interval_ms",
    OutputRoot: InvalidText = "output_root",
    PlanPath: InvalidText = "plan_path",
    PlanSha256: InvalidId = "plan_sha256",
    TraceParent: InvalidText = "traceparent",
    BatchSize: OutOfRange = "batch_size",
});

// === impl Acquire ===

impl From<Acquire> for wire::AcquireRequest {
    fn from(acquire: Acquire) -> Self {
        Self {
            worker_id: acquire.worker.to_string(),
            request_id: acquire.request.to_string(),
            max: acquire.max,
            wait_ms: acquire.wait_ms,
            run: field::text_of(acquire.run),
        }
    }
}

impl TryFrom<wire::AcquireRequest> for Acquire {
    type Error = InvalidAcquire;

    fn try_from(wire: wire::AcquireRequest) -> Result<Self, InvalidAcquire> {
        use InvalidAcquire as Invalid;
        Ok(Self {
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            request: wire.request_id.parse().map_err(|source| Invalid::RequestId { source })?,
            max: field::within(wire.max, 1, ACQUIRE_MAX)
                .map_err(|source| Invalid::Max { source })?,
            wait_ms: field::within(wire.wait_ms, 0, ACQUIRE_WAIT_MAX_MS)
                .map_err(|source| Invalid::WaitMs { source })?,
            run: field::optional(&wire.run).map_err(|source| Invalid::Run { source })?,
        })
    }
}

// === impl Acquired ===

impl From<Acquired> for wire::AcquireResponse {
    fn from(acquired: Acquired) -> Self {
        Self {
            grants: field::out(acquired.grants),
            directive: wire::Directive::from(acquired.directive).into(),
            retry_after_ms: acquired.retry_after_ms,
            notice: acquired.notice,
        }
    }
}

impl TryFrom<wire::AcquireResponse> for Acquired {
    type Error = InvalidAcquired;

    fn try_from(wire: wire::AcquireResponse) -> Result<Self, InvalidAcquired> {
        use InvalidAcquired as Invalid;
        Ok(Self {
            grants: field::list(wire.grants, ACQUIRE_MAX as usize)
                .map_err(|source| Invalid::Grants { source })?,
            directive: field::choice::<wire::Directive, _>(wire.directive)
                .map_err(|source| Invalid::Directive { source })?,
            retry_after_ms: field::within(wire.retry_after_ms, 0, RETRY_AFTER_MAX_MS)
                .map_err(|source| Invalid::RetryAfterMs { source })?,
            notice: field::prose(wire.notice).map_err(|source| Invalid::Notice { source })?,
        })
    }
}

// === impl Grant ===

impl Grant {
    /// Where the plan is, under the output root.
    pub fn plan(&self) -> Object {
        Object::Plan { run: self.lease.run.clone() }
    }
}

impl From<Grant> for wire::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            plan_path: grant.plan().path(),
            lease: Some(grant.lease.into()),
            earlier_attempts: grant.earlier_attempts,
            ttl_ms: grant.ttl_ms,
            heartbeat_interval_ms: grant.heartbeat_interval_ms,
            output_root: grant.output_root,
            plan_sha256: grant.plan_sha256.to_string(),
            traceparent: field::text_of(grant.trace),
            batch_size: BatchSize::field(grant.batch_size),
            backup: grant.backup,
            coordinator_creates_records: grant.coordinator_creates_records,
        }
    }
}

impl TryFrom<wire::Grant> for Grant {
    type Error = InvalidGrant;

    fn try_from(wire: wire::Grant) -> Result<Self, InvalidGrant> {
        use InvalidGrant as Invalid;
        let ttl_ms = field::within(wire.ttl_ms, 1, TTL_MAX_MS)
            .map_err(|source| Invalid::TtlMs { source })?;
        let grant = Self {
            lease: field::part(wire.lease).map_err(|source| Invalid::Lease { source })?,
            earlier_attempts: wire.earlier_attempts,
            ttl_ms,
            heartbeat_interval_ms: field::within(wire.heartbeat_interval_ms, 1, ttl_ms - 1)
                .map_err(|source| Invalid::HeartbeatIntervalMs { source })?,
            output_root: field::location(wire.output_root)
                .map_err(|source| Invalid::OutputRoot { source })?,
            plan_sha256: wire
                .plan_sha256
                .parse()
                .map_err(|source| Invalid::PlanSha256 { source })?,
            trace: field::optional(&wire.traceparent)
                .map_err(|source| Invalid::TraceParent { source })?,
            batch_size: BatchSize::read(wire.batch_size)
                .map_err(|source| Invalid::BatchSize { source })?,
            backup: wire.backup,
            coordinator_creates_records: wire.coordinator_creates_records,
        };
        // The path is for workers that do not know the layout; for this one it must be the same.
        if wire.plan_path != grant.plan().path() {
            let source = InvalidText::Shape { shape: "as the layout places the plan of the run" };
            return Err(Invalid::PlanPath { source });
        }
        Ok(grant)
    }
}

//! `Release`: a worker gives leases back before their attempts commit.

use super::{InvalidLeaseId, LeaseId};
use crate::field::{self, InvalidList, InvalidText, OutOfRange, invalid_message};
use crate::limits::LEASES_MAX;
use crate::names::WorkerName;
use crate::wire;

/// Leases that a worker gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The worker.
    pub worker: WorkerName,
    /// The leases, at most [`LEASES_MAX`].
    pub leases: Vec<LeaseId>,
    /// Whether the worker ends and will ask for nothing more.
    pub leaving: bool,
}

/// The answer to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// How many of the leases were this worker's and are free now.
    pub released: u32,
}

invalid_message!(InvalidRelease of "the release request" {
    WorkerId: InvalidText = "worker_id",
    Leases: InvalidList<InvalidLeaseId> = "leases",
});

invalid_message!(InvalidReleased of "the release response" {
    Released: OutOfRange = "released",
});

// === impl Release ===

impl From<Release> for wire::ReleaseRequest {
    fn from(release: Release) -> Self {
        Self {
            worker_id: release.worker.to_string(),
            leases: field::out(release.leases),
            leaving: release.leaving,
        }
    }
}

impl TryFrom<wire::ReleaseRequest> for Release {
    type Error = InvalidRelease;

    fn try_from(wire: wire::ReleaseRequest) -> Result<Self, InvalidRelease> {
        use InvalidRelease as Invalid;
        Ok(Self {
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            leases: field::list(wire.leases, LEASES_MAX)
                .map_err(|source| Invalid::Leases { source })?,
            leaving: wire.leaving,
        })
    }
}

// === impl Released ===

impl From<Released> for wire::ReleaseResponse {
    fn from(released: Released) -> Self {
        Self { released: released.released }
    }
}

impl TryFrom<wire::ReleaseResponse> for Released {
    type Error = InvalidReleased;

    fn try_from(wire: wire::ReleaseResponse) -> Result<Self, InvalidReleased> {
        let released = field::within(wire.released, 0, LEASES_MAX as u32)
            .map_err(|source| InvalidReleased::Released { source })?;
        Ok(Self { released })
    }
}

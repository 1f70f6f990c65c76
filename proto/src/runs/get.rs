//! `Get`: one run in detail, and one of its shards if asked.

use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::{AttemptId, InvalidId, RunId, ShardIndex};
use nightshift_core::lease::Token;

use super::status::{InvalidRunStatus, RunStatus};
use super::verdict::{InvalidQuarantinedShard, InvalidRunVerdict, RunVerdict};
use crate::field::{
    self, InvalidList, InvalidPart, InvalidText, OutOfRange, UnknownValue, invalid_message,
    same_enum,
};
use crate::leases::report::{Failure, InvalidFailure};
use crate::leases::{self, InvalidToken, Phase};
use crate::limits::{OPEN_SHARDS_MAX, QUARANTINED_SHOWN_MAX, SHARD_LEASES_MAX};
use crate::names::WorkerName;
use crate::wire;

/// A question about one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetRun {
    /// The run.
    pub run: RunId,
    /// A shard to describe too.
    pub shard: Option<ShardIndex>,
    /// How many open shards to describe too, at most [`OPEN_SHARDS_MAX`].
    pub open_shards_max: u32,
}

/// A run in detail.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRun {
    /// How it goes.
    pub run: RunStatus,
    /// How it ended.
    pub verdict: Option<RunVerdict>,
    /// The first shards that were given up, at most [`QUARANTINED_SHOWN_MAX`].
    pub quarantined: Vec<QuarantinedShard>,
    /// The shard that was asked for.
    pub shard: Option<ShardStatus>,
    /// Shards under a lease, the oldest first, then those that wait out a pause.
    pub open_shards: Vec<ShardStatus>,
}

/// One shard in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// The shard.
    pub shard: ShardIndex,
    /// Its state.
    pub state: ShardState,
    /// Its rows.
    pub rows: u64,
    /// Attempts that ended without a record.
    pub failed_attempts: u32,
    /// Of those, the ones whose worker was told to go.
    pub preempted_attempts: u32,
    /// The attempt whose record decided the shard.
    pub attempt: Option<AttemptId>,
    /// Leases that are out, at most [`SHARD_LEASES_MAX`].
    pub leases: Vec<ShardLease>,
    /// How the last failed attempt failed.
    pub last_failure: Option<Failure>,
}

/// States of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShardState {
    /// Undecided and free.
    Ready,
    /// Undecided, waiting out a pause after a failure.
    Delayed,
    /// Undecided, under at least one lease.
    Leased,
    /// Decided, with data.
    Committed,
    /// Decided, given up.
    Quarantined,
}

/// A lease of a shard that is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLease {
    /// Its name within the run.
    pub token: Token,
    /// Who holds it.
    pub worker: WorkerName,
    /// How far its attempt has come.
    pub phase: Phase,
    /// Rows read so far.
    pub rows_done: u64,
    /// How long ago it was granted.
    pub age_ms: u64,
    /// How long ago its worker was last heard of.
    pub heard_ms: u64,
}

same_enum!(ShardState = ShardState { Ready, Delayed, Leased, Committed, Quarantined });

invalid_message!(InvalidGetRun of "the get request" {
    Run: InvalidId = "run",
    Shard: OutOfRange = "shard",
    OpenShardsMax: OutOfRange = "open_shards_max",
});

invalid_message!(InvalidFoundRun of "the get response" {
    Run: InvalidPart<InvalidRunStatus> = "run",
    Verdict: InvalidRunVerdict = "verdict",
    Quarantined: InvalidList<InvalidQuarantinedShard> = "quarantined",
    Shard: InvalidShardStatus = "shard",
    OpenShards: InvalidList<InvalidShardStatus> = "open_shards",
});

invalid_message!(InvalidShardStatus of "the shard" {
    Shard: OutOfRange = "shard",
    State: UnknownValue = "state",
    Attempt: InvalidId = "attempt",
    Leases: InvalidList<InvalidShardLease> = "leases",
    LastFailure: InvalidFailure = "last_failure",
});

invalid_message!(InvalidShardLease of "the shard's lease" {
    Token: InvalidPart<InvalidToken> = "token",
    WorkerId: InvalidText = "worker_id",
    Phase: UnknownValue = "phase",
});

// === impl GetRun ===

impl GetRun {
    /// A question about the run alone.
    pub fn of(run: RunId) -> Self {
        Self { run, shard: None, open_shards_max: 0 }
    }
}

impl From<GetRun> for wire::GetRequest {
    fn from(get: GetRun) -> Self {
        Self {
            run: get.run.to_string(),
            shard: get.shard.map(|shard| shard.0),
            open_shards_max: get.open_shards_max,
        }
    }
}

impl TryFrom<wire::GetRequest> for GetRun {
    type Error = InvalidGetRun;

    fn try_from(wire: wire::GetRequest) -> Result<Self, InvalidGetRun> {
        use InvalidGetRun as Invalid;
        Ok(Self {
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            shard: wire
                .shard
                .map(leases::shard)
                .transpose()
                .map_err(|source| Invalid::Shard { source })?,
            open_shards_max: field::within(wire.open_shards_max, 0, OPEN_SHARDS_MAX)
                .map_err(|source| Invalid::OpenShardsMax { source })?,
        })
    }
}

// === impl FoundRun ===

impl From<FoundRun> for wire::GetResponse {
    fn from(found: FoundRun) -> Self {
        Self {
            run: Some(found.run.into()),
            verdict: found.verdict.map(Into::into),
            quarantined: field::out(found.quarantined),
            shard: found.shard.map(Into::into),
            open_shards: field::out(found.open_shards),
        }
    }
}

impl TryFrom<wire::GetResponse> for FoundRun {
    type Error = InvalidFoundRun;

    fn try_from(wire: wire::GetResponse) -> Result<Self, InvalidFoundRun> {
        use InvalidFoundRun as Invalid;
        Ok(Self {
            run: field::part(wire.run).map_err(|source| Invalid::Run { source })?,
            verdict: wire
                .verdict
                .map(RunVerdict::try_from)
                .transpose()
                .map_err(|source| Invalid::Verdict { source })?,
            quarantined: field::list(wire.quarantined, QUARANTINED_SHOWN_MAX)
                .map_err(|source| Invalid::Quarantined { source })?,
            shard: wire
                .shard
                .map(ShardStatus::try_from)
                .transpose()
                .map_err(|source| Invalid::Shard { source })?,
            open_shards: field::list(wire.open_shards, OPEN_SHARDS_MAX as usize)
                .map_err(|source| Invalid::OpenShards { source })?,
        })
    }
}

// === impl ShardStatus ===

impl From<ShardStatus> for wire::Shard {
    fn from(status: ShardStatus) -> Self {
        Self {
            shard: status.shard.0,
            state: wire::ShardState::from(status.state).into(),
            rows: status.rows,
            failed_attempts: status.failed_attempts,
            preempted_attempts: status.preempted_attempts,
            attempt: field::text_of(status.attempt),
            leases: field::out(status.leases),
            last_failure: status.last_failure.map(Into::into),
        }
    }
}

impl TryFrom<wire::Shard> for ShardStatus {
    type Error = InvalidShardStatus;

    fn try_from(wire: wire::Shard) -> Result<Self, InvalidShardStatus> {
        use InvalidShardStatus as Invalid;
        Ok(Self {
            shard: leases::shard(wire.shard).map_err(|source| Invalid::Shard { source })?,
            state: field::choice::<wire::ShardState, _>(wire.state)
                .map_err(|source| Invalid::State { source })?,
            rows: wire.rows,
            failed_attempts: wire.failed_attempts,
            preempted_attempts: wire.preempted_attempts,
            attempt: field::optional(&wire.attempt)
                .map_err(|source| Invalid::Attempt { source })?,
            leases: field::list(wire.leases, SHARD_LEASES_MAX)
                .map_err(|source| Invalid::Leases { source })?,
            last_failure: wire
                .last_failure
                .map(Failure::try_from)
                .transpose()
                .map_err(|source| Invalid::LastFailure { source })?,
        })
    }
}

// === impl ShardLease ===

impl From<ShardLease> for wire::ShardLease {
    fn from(lease: ShardLease) -> Self {
        Self {
            token: Some(lease.token.into()),
            worker_id: lease.worker.to_string(),
            phase: wire::Phase::from(lease.phase).into(),
            rows_done: lease.rows_done,
            age_ms: lease.age_ms,
            heard_ms: lease.heard_ms,
        }
    }
}

impl TryFrom<wire::ShardLease> for ShardLease {
    type Error = InvalidShardLease;

    fn try_from(wire: wire::ShardLease) -> Result<Self, InvalidShardLease> {
        use InvalidShardLease as Invalid;
        Ok(Self {
            token: field::part(wire.token).map_err(|source| Invalid::Token { source })?,
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            phase: field::choice::<wire::Phase, _>(wire.phase)
                .map_err(|source| Invalid::Phase { source })?,
            rows_done: wire.rows_done,
            age_ms: wire.age_ms,
            heard_ms: wire.heard_ms,
        })
    }
}

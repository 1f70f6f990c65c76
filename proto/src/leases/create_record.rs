//! `CreateRecord`: a worker has its record created where the store cannot tell who was first.

use nightshift_core::document::Kind;
use nightshift_core::ids::{InvalidId, RunId, ShardIndex};

use crate::field::{self, InvalidText, OutOfRange, UnknownValue, invalid_message, same_enum};
use crate::names::WorkerName;
use crate::wire;

/// A record that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRecord {
    /// The worker.
    pub worker: WorkerName,
    /// The run.
    pub run: RunId,
    /// The shard.
    pub shard: ShardIndex,
    /// The bytes of the record, within the bound of its kind; not looked into.
    pub record: Vec<u8>,
}

/// The answer to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAnswered {
    /// What became of it.
    pub state: RecordState,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// It is in the store, with these bytes.
    Created,
    /// The shard has one, this or another.
    Exists,
}

same_enum!(RecordState = RecordState { Created, Exists });

invalid_message!(InvalidCreateRecord of "the record request" {
    WorkerId: InvalidText = "worker_id",
    Run: InvalidId = "run",
    Shard: OutOfRange = "shard",
    Record: OutOfRange = "record",
});

invalid_message!(InvalidRecordAnswered of "the record response" {
    State: UnknownValue = "state",
});

// === impl CreateRecord ===

impl From<CreateRecord> for wire::CreateRecordRequest {
    fn from(create: CreateRecord) -> Self {
        Self {
            worker_id: create.worker.to_string(),
            run: create.run.to_string(),
            shard: create.shard.0,
            record: create.record,
        }
    }
}

impl TryFrom<wire::CreateRecordRequest> for CreateRecord {
    type Error = InvalidCreateRecord;

    fn try_from(wire: wire::CreateRecordRequest) -> Result<Self, InvalidCreateRecord> {
        use InvalidCreateRecord as Invalid;
        let (value, max) = (wire.record.len() as u64, Kind::Record.size_max_bytes());
        if value == 0 || value > max {
            return Err(Invalid::Record { source: OutOfRange { value, min: 1, max } });
        }
        Ok(Self {
            worker: wire.worker_id.parse().map_err(|source| Invalid::WorkerId { source })?,
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            shard: super::shard(wire.shard).map_err(|source| Invalid::Shard { source })?,
            record: wire.record,
        })
    }
}

// === impl RecordAnswered ===

impl From<RecordAnswered> for wire::CreateRecordResponse {
    fn from(answered: RecordAnswered) -> Self {
        Self { state: wire::RecordState::from(answered.state).into() }
    }
}

impl TryFrom<wire::CreateRecordResponse> for RecordAnswered {
    type Error = InvalidRecordAnswered;

    fn try_from(wire: wire::CreateRecordResponse) -> Result<Self, InvalidRecordAnswered> {
        let state = field::choice::<wire::RecordState, _>(wire.state)
            .map_err(|source| InvalidRecordAnswered::State { source })?;
        Ok(Self { state })
    }
}

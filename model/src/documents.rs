//! The real documents that the small states of the model stand for.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::conclusion::{Final, NotConcluded};
use nightshift_core::ids::{AttemptId, Digest, Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::{Object, StagedName};
use nightshift_core::plan::{ModelIdentity, OutputFormat, Plan, Sharding, TaskSettings, cut};
use nightshift_core::record::{
    Committed, FailureClass, Quarantined, Record, StoredFile, Timing, Verdict,
};

use crate::store::{Body, Store};

/// Rows of each shard.
const ROWS: u64 = 5;

/// The plan, which all coordinators agree on, and what follows from it.
#[derive(Debug)]
pub struct Documents {
    /// The plan.
    pub plan: Plan,
}

/// The id of attempt number `n`.
#[expect(clippy::expect_used, reason = "26 digits, the first of which is 0, are a ULID")]
pub fn attempt_id(n: u8) -> AttemptId {
    format!("{n:026}").parse().expect("digits are an attempt id")
}

impl Documents {
    /// A plan of `shards` shards of five rows each.
    #[expect(clippy::expect_used, reason = "the name and the cut are constants that are valid")]
    pub fn new(shards: u8) -> Self {
        let rows = ROWS * u64::from(shards);
        let name = "model".parse().expect("a name");
        let plan = Plan {
            version: Plan::VERSION,
            run: RunId { name, partition: Partition::All, generation: Generation::FIRST },
            planned_at: Timestamp::UNIX_EPOCH,
            fingerprint: Digest([1; 32]),
            model: ModelIdentity {
                uri: "/m".into(),
                version: None,
                pinned: None,
                digest: Digest([2; 32]),
                files: Vec::new(),
            },
            task: TaskSettings {
                onnx: None,
                kind: "tabular".into(),
                id: Vec::new(),
                keep: Vec::new(),
                output_format: OutputFormat::Parquet,
                rejects_max_ratio: 0.0,
                rejects_min: 0,
                crash_budget: 0,
                text: None,
                generate: None,
            },
            inputs: Vec::new(),
            rows,
            shards: cut(&[rows], Sharding::Count(shards.into())).expect("shards of five rows"),
            inherits: None,
            workers: None,
            window: None,
            gate: None,
            reporting: None,
        };
        Self { plan }
    }

    /// The real record that a small one stands for; none if it is no record.
    pub fn record(&self, shard: u8, body: Body) -> Option<Record> {
        let shard = ShardIndex(shard.into());
        let (attempt, verdict) = match body {
            Body::Committed { attempt } => (attempt, self.committed(shard, attempt)),
            Body::Quarantined { attempt } => (
                attempt,
                Verdict::Quarantined(Quarantined {
                    class: FailureClass::Lost,
                    reason: "lease_expired".into(),
                    message: String::new(),
                    attempts: 1,
                }),
            ),
            Body::Plan { .. } | Body::Final { .. } => return None,
        };
        Some(Record {
            version: Record::VERSION,
            run: self.plan.run.clone(),
            shard,
            attempt: attempt_id(attempt),
            worker: String::new(),
            // Each attempt has its own clock reading, so that finals differ where records do.
            decided_at: self.plan.planned_at + Duration::from_secs(attempt.into()),
            inherited_from: None,
            verdict,
        })
    }

    fn committed(&self, shard: ShardIndex, attempt: u8) -> Verdict {
        let staged = Object::Staged {
            run: self.plan.run.clone(),
            shard,
            attempt: attempt_id(attempt),
            file: StagedName::Data(OutputFormat::Parquet),
        };
        Verdict::Committed(Box::new(Committed {
            rows_in: ROWS,
            rows_out: ROWS,
            rows_rejected: 0,
            rejects_by_reason: BTreeMap::new(),
            rows_cut: 0,
            output: StoredFile {
                staged,
                visible: Object::part(&self.plan, shard),
                size_bytes: 1,
                sha256: Digest([attempt; 32]),
            },
            rejects: None,
            model_digest: self.plan.model.digest,
            timing: Timing::default(),
            scores: None,
        }))
    }

    /// The final that follows from the records in the store.
    ///
    /// # Errors
    /// As [`Final::conclude`].
    pub fn conclude(&self, store: &Store) -> Result<Final, NotConcluded> {
        let shards = self.plan.indexes().filter_map(|shard| u8::try_from(shard.0).ok());
        let records = shards.filter_map(|shard| {
            let record = self.record(shard, store.record(shard)?)?;
            Some((ShardIndex(shard.into()), record))
        });
        Final::conclude(&self.plan, &records.collect())
    }
}

/// The small form of a final: a digest of its bytes.
pub fn final_body(verdict: &Final) -> Body {
    let mut hasher = DefaultHasher::new();
    // A final always has a JSON form; without one the digest would agree with no other.
    serde_json::to_vec(verdict).ok().hash(&mut hasher);
    Body::Final { digest: hasher.finish() }
}

//! A plan and a record in miniature, for the tests of whoever counts and judges records.

use std::collections::BTreeMap;

use crate::ids::{AttemptId, Digest, ShardIndex};
use crate::layout::{Object, StagedName};
use crate::plan::{ModelIdentity, OutputFormat, Plan, Sharding, TaskSettings, cut};
use crate::record::{Committed, FailureClass, Quarantined, Record, StoredFile, Timing, Verdict};

/// A plan of `rows` rows in `shards` shards.
pub(crate) fn plan(rows: u64, shards: u32) -> Plan {
    Plan {
        version: Plan::VERSION,
        run: "flights-2013-01-01-g1".parse().unwrap(),
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
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
            id: vec!["id".into()],
            keep: Vec::new(),
            output_format: OutputFormat::Parquet,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 4,
            text: None,
            generate: None,
        },
        inputs: Vec::new(),
        rows,
        shards: cut(&[rows], Sharding::Count(shards)).unwrap(),
        inherits: None,
        workers: None,
        window: None,
        reporting: None,
        gate: None,
    }
}

/// The record of a shard: committed with so many rejects, or given up.
pub(crate) fn record(plan: &Plan, shard: u32, rejected: u64, committed: bool) -> Record {
    let shard = ShardIndex(shard);
    let rows = plan.shard(shard).unwrap().rows();
    let rejected = rejected.min(rows);
    let attempt: AttemptId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let output = StoredFile {
        staged: Object::Staged {
            run: plan.run.clone(),
            shard,
            attempt: attempt.clone(),
            file: StagedName::Data(OutputFormat::Parquet),
        },
        visible: Object::part(plan, shard),
        size_bytes: 10,
        sha256: Digest([3; 32]),
    };
    let verdict = if committed {
        Verdict::Committed(Box::new(Committed {
            rows_in: rows,
            rows_out: rows - rejected,
            rows_rejected: rejected,
            rejects_by_reason: BTreeMap::from([("bad_value".to_owned(), rejected)]),
            rows_cut: 0,
            output,
            rejects: None,
            model_digest: plan.model.digest,
            timing: Timing::default(),
            scores: None,
        }))
    } else {
        Verdict::Quarantined(Quarantined {
            class: FailureClass::Data,
            reason: "r".into(),
            message: "m".into(),
            attempts: 1,
        })
    };
    Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard,
        attempt,
        worker: "w".into(),
        decided_at: plan.planned_at,
        inherited_from: None,
        verdict,
    }
}

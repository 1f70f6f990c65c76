//! A run in miniature for the tests of opening, concluding and verifying: a CSV of numbers,
//! and workers that copy them.

use std::collections::BTreeMap;
use std::io::Write;

use nightshift_core::decide::Decision;
use nightshift_core::ids::{AttemptId, Digest, Partition, ShardIndex};
use nightshift_core::layout::{Object, StagedName};
use nightshift_core::plan::{
    Compression, InputFile, InputFormat, ModelIdentity, OutputFormat, Pin, Plan, Sharding,
    TaskSettings, cut,
};
use nightshift_core::record::{
    Committed, FailureClass, Quarantined, Record, StoredFile, Timing, Verdict,
};

use crate::concluding::publish_won;
use crate::documents::Committed as Contest;
use crate::opening::{OpenRun, Opener, decision_for, open_run};
use crate::root::{OutputRoot, Probed};
use crate::sync::Durability;

pub(crate) const ROWS: u64 = 10;

/// An output root in a temporary directory.
pub(crate) struct Stage {
    directory: tempfile::TempDir,
    pub(crate) root: Probed,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = probed(&directory).await;
        Self { directory, root }
    }

    /// Another process's view of the same root.
    pub(crate) async fn another(&self) -> Probed {
        probed(&self.directory).await
    }
}

async fn probed(directory: &tempfile::TempDir) -> Probed {
    let uri = directory.path().to_str().unwrap();
    OutputRoot::open(uri, Durability::None).await.unwrap().probe().await.unwrap()
}

pub(crate) fn partition() -> Partition {
    "2013-01-31".parse().unwrap()
}

pub(crate) fn opener(who: &str) -> Opener {
    Opener {
        name: "numbers".parse().unwrap(),
        who: who.to_owned(),
        request: who.to_owned(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        force: None,
        retry: 0,
    }
}

/// A plan of [`ROWS`] rows in `shards` shards; `model` tells plans apart.
pub(crate) fn plan(shards: u32, model: u8) -> Plan {
    let digest = Digest([model; 32]);
    Plan {
        version: Plan::VERSION,
        run: "numbers-2013-01-31-g1".parse().unwrap(),
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        fingerprint: digest,
        model: ModelIdentity {
            uri: "/m".into(),
            version: None,
            pinned: None,
            digest,
            files: Vec::new(),
        },
        task: TaskSettings {
            onnx: None,
            kind: "tabular".into(),
            id: vec!["n".into()],
            keep: Vec::new(),
            output_format: OutputFormat::Csv,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 4,
            text: None,
            generate: None,
        },
        inputs: vec![InputFile {
            uri: "/in.csv".into(),
            format: InputFormat::Csv,
            compression: Compression::None,
            pin: Pin { size_bytes: 1, version: "mtime:1".into() },
            rows: ROWS,
            partition_columns: Vec::new(),
            columns: Vec::new(),
        }],
        rows: ROWS,
        shards: cut(&[ROWS], Sharding::Count(shards)).unwrap(),
        inherits: None,
        workers: None,
        window: None,
        gate: None,
        reporting: None,
    }
}

pub(crate) async fn open(root: &Probed, opener: &Opener, fresh: Plan) -> OpenRun {
    let decision = decision_for(root, partition(), opener.force.is_some()).await.unwrap();
    open_as(root, opener, decision, fresh).await
}

pub(crate) async fn open_as(
    root: &Probed,
    opener: &Opener,
    decision: Decision,
    fresh: Plan,
) -> OpenRun {
    open_run(root, opener, partition(), decision, fresh).await.unwrap()
}

/// Stages and commits one shard; publishes unless the worker dies first.
pub(crate) async fn work(root: &Probed, plan: &Plan, shard: u32, publish: bool) -> Record {
    let shard = ShardIndex(shard);
    let attempt: AttemptId = ulid::Ulid::generate().to_string().parse().unwrap();
    let staging = root.stage(&plan.run, shard, &attempt).unwrap();
    let mut file = staging.create(StagedName::Data(OutputFormat::Csv)).unwrap();
    let rows = plan.shard(shard).unwrap().rows();
    file.write_all(b"n\n").unwrap();
    for row in 0..rows {
        writeln!(file, "{row}").unwrap();
    }
    let sealed = root.seal(vec![file.finish().unwrap()]).await.unwrap();
    let stored = &sealed.files()[0];
    let record = Record {
        verdict: Verdict::Committed(Box::new(Committed {
            rows_in: rows,
            rows_out: rows,
            rows_rejected: 0,
            rejects_by_reason: BTreeMap::new(),
            rows_cut: 0,
            output: StoredFile {
                staged: stored.object.clone(),
                visible: Object::part(plan, shard),
                size_bytes: stored.size_bytes,
                sha256: stored.sha256,
            },
            rejects: None,
            model_digest: plan.model.digest,
            timing: Timing::default(),
            scores: None,
        })),
        ..quarantined(plan, shard.0, &attempt)
    };
    match root.commit(&sealed, &record).await.unwrap() {
        Contest::Won(permit) if publish => {
            publish_won(root, plan, &permit, &record).await.unwrap();
            record
        }
        Contest::Won(_) => record,
        Contest::Lost(record) => record,
    }
}

/// Gives one shard up.
pub(crate) async fn give_up(root: &Probed, plan: &Plan, shard: u32) {
    let attempt: AttemptId = ulid::Ulid::generate().to_string().parse().unwrap();
    let record = quarantined(plan, shard, &attempt);
    let settled = root.quarantine(&plan.run, ShardIndex(shard), &attempt, &record).await.unwrap();
    assert_eq!(settled, crate::documents::Settled::Created);
}

fn quarantined(plan: &Plan, shard: u32, attempt: &AttemptId) -> Record {
    Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard: ShardIndex(shard),
        attempt: attempt.clone(),
        worker: "w".into(),
        decided_at: plan.planned_at,
        inherited_from: None,
        verdict: Verdict::Quarantined(Quarantined {
            class: FailureClass::Data,
            reason: "bad".into(),
            message: "bad rows".into(),
            attempts: 1,
        }),
    }
}

/// The records of a run as they are stored.
pub(crate) async fn records(root: &Probed, plan: &Plan) -> BTreeMap<ShardIndex, Record> {
    let decided = root.decided_shards(&plan.run).await.unwrap();
    root.records(&plan.run, &decided).await.unwrap()
}

/// A coordinator opens and concludes a run in a task beside those of other runs.
pub(crate) fn require_send<F: Future + Send>(future: F) -> F {
    future
}

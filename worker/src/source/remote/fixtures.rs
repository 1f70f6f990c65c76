//! Runs and grants for the tests of this folder.

use std::path::Path;
use std::sync::Arc;

use nightshift_core::ids::{Digest, ShardIndex};
use nightshift_core::lease::Token;
use nightshift_core::plan::{ModelIdentity, OutputFormat, Plan, Shard, Slice, TaskSettings};
use nightshift_proto::leases::LeaseId;
use nightshift_proto::leases::acquire::Grant;
use nightshift_storage::root::OutputRoot;
use nightshift_storage::sync::Durability;

use crate::score::Scorer;
use crate::source::RunWork;

/// Shards of each run.
pub(super) const SHARDS: u32 = 40;
/// Rows of each shard.
pub(super) const ROWS: u64 = 10;

/// Two runs that are open; nothing of them is ever read.
pub(super) fn works() -> Vec<Arc<RunWork>> {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let root = runtime.block_on(async {
        let uri = folder.path().display().to_string();
        OutputRoot::open(&uri, Durability::None).await.unwrap().probe().await.unwrap()
    });
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flights/models/delay-mlp");
    let engine: Arc<dyn crate::engine::Engine> =
        crate::engine::load(&model, &nightshift_core::spec::Task::Tabular).unwrap().into();
    let work = |generation: u32| {
        let scorer = Scorer::for_plan(Arc::new(plan(generation)), Arc::clone(&engine));
        Arc::new(RunWork::new(root.clone(), scorer, None))
    };
    vec![work(1), work(2)]
}

fn plan(generation: u32) -> Plan {
    let digest = Digest([0; 32]);
    let slice = |index: u32| {
        let start = u64::from(index) * ROWS;
        Shard { slices: vec![Slice { input: 0, start, rows: ROWS, seek: None }].into() }
    };
    let (uri, files) = ("/model".to_owned(), Vec::new());
    Plan {
        version: Plan::VERSION,
        run: format!("flights-all-g{generation}").parse().unwrap(),
        planned_at: "2013-01-01T00:00:00Z".parse().unwrap(),
        fingerprint: digest,
        model: ModelIdentity { uri, version: None, pinned: None, digest, files },
        task: TaskSettings {
            onnx: None,
            kind: "tabular".to_owned(),
            id: vec!["flight_id".to_owned()],
            keep: Vec::new(),
            output_format: OutputFormat::Parquet,
            rejects_max_ratio: 0.0,
            rejects_min: 0,
            crash_budget: 4,
            text: None,
            generate: None,
        },
        inputs: Vec::new(),
        rows: u64::from(SHARDS) * ROWS,
        shards: (0..SHARDS).map(slice).collect(),
        inherits: None,
        workers: None,
        window: None,
        gate: None,
        reporting: None,
    }
}

/// The lease of a shard, with its name within the run for a token.
pub(super) fn grant(work: &RunWork, shard: u32) -> Grant {
    Grant {
        lease: LeaseId {
            run: work.run().clone(),
            shard: ShardIndex(shard),
            token: Token { epoch: 1, sequence: shard.into() },
        },
        earlier_attempts: 0,
        ttl_ms: 30_000,
        heartbeat_interval_ms: 10_000,
        output_root: "/out".to_owned(),
        plan_sha256: Digest([1; 32]),
        trace: None,
        batch_size: None,
        backup: false,
        coordinator_creates_records: false,
    }
}

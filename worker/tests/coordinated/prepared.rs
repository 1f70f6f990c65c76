//! A run that is planned and waits for workers, in a folder of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_core::decide::Decision;
use nightshift_core::ids::{Digest, Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::Plan;
use nightshift_core::record::Record;
use nightshift_core::spec::Spec;
use nightshift_storage::opening::{Opener, open_run};
use nightshift_storage::root::{OutputRoot, Probed};
use nightshift_storage::sync::Durability;
use nightshift_worker::identity::Identity;
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::{Session, Task};
use nightshift_worker::source::Drain;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest time that anything may take; a machine that is busy is slow, one that needs this long
/// has something that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Rows of the date of the example that is scored: 842.
const DATE: &str = "date=2013-01-01";

/// A planned run.
pub(crate) struct Prepared {
    pub(crate) folder: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) root: Probed,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_sha256: Digest,
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/flights")
}

impl Prepared {
    /// A day of flights in shards of `rows` rows.
    pub(crate) fn new(rows: u64) -> Self {
        Self::with_format(rows, "parquet")
    }

    /// The same with another output format.
    pub(crate) fn with_format(rows: u64, format: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        // A model of its own, so that a test can take it away.
        let model = folder.path().join("model");
        std::fs::create_dir(&model).unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(example().join("models/delay-mlp").join(file), model.join(file)).unwrap();
        }
        let yaml = format!(
            "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: flights }}\nspec:\n  \
             input: {{ uri: \"{}\", id: [flight_id] }}\n  model: {{ uri: model }}\n  \
             task: {{ kind: tabular }}\n  output: {{ uri: out, format: {format} }}\n  sharding: {{ rows: {rows} }}\n",
            example().join("data").join(DATE).join("*.parquet").display()
        );
        let spec = Arc::new(Spec::parse("spec.yaml", &yaml).unwrap());
        let (base, partition) = (folder.path().display().to_string(), Partition::All);
        let bound = spec.bind("spec.yaml", &base, partition).unwrap();
        let task = Task { spec: Arc::clone(&spec), bound, partition, force: None, shards: None };
        let drain = Drain::default();
        let session = Session::new(runtime.handle().clone(), 1, drain, Arc::new(NoObserver));
        let plan = session.prepare(&task).unwrap().plan;
        let opener = Opener {
            name: spec.name.clone(),
            who: "test".to_owned(),
            request: "request".to_owned(),
            now: Identity::of_this_process().now(),
            force: None,
            retry: 0,
        };
        let (root, plan, bytes) = runtime.block_on(async {
            let root = OutputRoot::open(&task.bound.output, Durability::None).await.unwrap();
            let root = root.probe().await.unwrap();
            root.identify(&spec.name).await.unwrap();
            let start = Decision::Start { generation: Generation::FIRST, inherit: None };
            let open = open_run(&root, &opener, partition, start, plan).await.unwrap();
            let object = Object::Plan { run: open.plan.run.clone() };
            let bytes = root.get(&object).await.unwrap().unwrap();
            (root, open.plan, bytes)
        });
        let plan_sha256 = Digest(Sha256::digest(&bytes).into());
        Self { folder, runtime, root, plan, plan_sha256 }
    }

    /// The run.
    pub(crate) fn run(&self) -> &RunId {
        &self.plan.run
    }

    /// Shards that have a record.
    pub(crate) fn decided(&self) -> BTreeSet<ShardIndex> {
        self.runtime.block_on(self.root.decided_shards(self.run())).unwrap().iter().collect()
    }

    /// Waits until the records satisfy `seen`.
    pub(crate) fn wait_decided(&self, what: &str, seen: impl Fn(&BTreeSet<ShardIndex>) -> bool) {
        let started = Instant::now();
        while !seen(&self.decided()) {
            assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The record of a shard.
    pub(crate) fn record(&self, shard: u32) -> Option<Record> {
        let object = Object::Record { run: self.run().clone(), shard: ShardIndex(shard) };
        self.runtime.block_on(self.root.read(&object)).unwrap()
    }

    /// Fails unless every shard has a record that fits the plan, and its visible file.
    pub(crate) fn expect_complete(&self) {
        let decided = self.decided();
        let records = self.runtime.block_on(self.root.records(self.run(), decided)).unwrap();
        assert_eq!(records.len(), self.plan.shards.len());
        for (shard, record) in records {
            record.check(&self.plan, shard).unwrap();
            let visible = self.root.path_of(&record.committed().unwrap().output.visible);
            assert!(visible.is_file(), "{}", visible.display());
        }
    }
}

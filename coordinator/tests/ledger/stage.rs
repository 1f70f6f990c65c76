//! An output root with claims, records and finals, and a keeper that serves it.

use std::sync::Arc;
use std::time::Duration;

use nightshift_coordinator::ledger::redis::{RedisLedger, RedisSettings};
use nightshift_coordinator::ledger::{Keeper, KeeperHandle, Ledger, ServedRoot};
use nightshift_core::conclusion::{Final, FinalState, Totals};
use nightshift_core::decide::Claim;
use nightshift_core::ids::{AttemptId, Digest, Generation, RunId, ShardIndex, SpecName};
use nightshift_core::layout::Object;
use nightshift_core::record::{FailureClass, Quarantined, Record, Verdict};
use nightshift_core::root::RootId;
use nightshift_storage::{Durability, OutputRoot, Probed};
use nightshift_tests::redis::RedisServer;
use nightshift_tests::waiting::PATIENCE;

/// The spec of these tests.
pub(crate) fn name() -> SpecName {
    "numbers".parse().unwrap()
}

/// A run of it on the `day`-th of January 2013.
pub(crate) fn run(day: u32, generation: u32) -> RunId {
    format!("numbers-2013-01-{day:02}-g{generation}").parse().unwrap()
}

/// A ledger at this URL.
pub(crate) fn redis_at(url: &str) -> Arc<RedisLedger> {
    Arc::new(RedisLedger::new(RedisSettings::new(url.parse().unwrap())).unwrap())
}

/// An output root of its own.
pub(crate) struct Stage {
    directory: tempfile::TempDir,
    pub(crate) root: Probed,
    pub(crate) root_id: RootId,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let uri = directory.path().to_str().unwrap();
        let root = OutputRoot::open(uri, Durability::None).await.unwrap().probe().await.unwrap();
        let root_id = root.identify(&name()).await.unwrap().root_id;
        Self { directory, root, root_id }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub(crate) fn served(&self) -> ServedRoot {
        let reader = self.root.reader().clone();
        ServedRoot { name: name(), root_id: self.root_id.clone(), reader }
    }

    /// Claims a run.
    pub(crate) async fn claim(&self, run: &RunId) {
        let claim = Claim {
            version: Claim::VERSION,
            run: run.clone(),
            request: "r".into(),
            claimed_by: "w".into(),
            claimed_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            forced: None,
            inherits: None,
        };
        let (partition, generation) = (run.partition, run.generation);
        let _ =
            self.root.create_once(&Object::Claim { partition, generation }, &claim).await.unwrap();
    }

    /// Decides a shard.
    pub(crate) async fn decide(&self, run: &RunId, shard: u32) {
        let attempt: AttemptId = ulid::Ulid::generate().to_string().parse().unwrap();
        let shard = ShardIndex(shard);
        let record = Record {
            version: Record::VERSION,
            run: run.clone(),
            shard,
            attempt: attempt.clone(),
            worker: "w".into(),
            decided_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            inherited_from: None,
            verdict: Verdict::Quarantined(Quarantined {
                class: FailureClass::Data,
                reason: "bad".into(),
                message: "bad rows".into(),
                attempts: 1,
            }),
        };
        let _ = self.root.quarantine(run, shard, &attempt, &record).await.unwrap();
    }

    /// Concludes a run.
    pub(crate) async fn conclude(&self, run: &RunId) -> Final {
        let verdict = verdict(run);
        let (partition, generation) = (run.partition, run.generation);
        let object = Object::Final { partition, generation };
        let _ = self.root.create_once(&object, &verdict).await.unwrap();
        verdict
    }
}

/// A final of `run`.
pub(crate) fn verdict(run: &RunId) -> Final {
    Final {
        version: Final::VERSION,
        run: run.clone(),
        state: FinalState::Partial,
        fingerprint: Digest([7; 32]),
        model_digest: Digest([8; 32]),
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        decided_at: "2026-01-01T00:01:00Z".parse().unwrap(),
        totals: Totals { rows_in: 1000 + u64::from(run.generation.get()), ..Totals::default() },
        quarantined: Vec::new(),
        scores: None,
    }
}

/// A run of another generation.
pub(crate) fn generation(run: &RunId, number: u32) -> RunId {
    RunId { generation: Generation::new(number).unwrap(), ..run.clone() }
}

/// A keeper, a server and a root that is served.
pub(crate) struct Scene {
    pub(crate) server: RedisServer,
    pub(crate) stage: Stage,
    pub(crate) keeper: Keeper,
    pub(crate) handle: KeeperHandle,
}

impl Scene {
    /// Everything running, and the ledger current.
    pub(crate) async fn new() -> Self {
        let scene = Self::with(RedisServer::start()).await;
        scene.caught_up().await;
        scene
    }

    /// With this server; the ledger may not be current yet.
    pub(crate) async fn with(server: RedisServer) -> Self {
        let stage = Stage::new().await;
        let keeper = keep(redis_at(&server.url()), &stage);
        let handle = keeper.handle();
        Self { server, stage, keeper, handle }
    }

    /// Decides shards and says so.
    pub(crate) async fn decide(&self, run: &RunId, shards: std::ops::Range<u32>) {
        self.stage.claim(run).await;
        for shard in shards {
            self.stage.decide(run, shard).await;
            self.handle.shard_decided(run, ShardIndex(shard));
        }
    }

    /// Concludes a run and says so.
    pub(crate) async fn conclude(&self, run: &RunId) {
        let verdict = self.stage.conclude(run).await;
        self.handle.run_concluded(&verdict);
    }

    pub(crate) async fn caught_up(&self) {
        caught_up(&self.handle).await;
    }

    /// Waits until the ledger is behind for this reason.
    pub(crate) async fn behind(&self, reason: &str) {
        behind(&self.handle, reason).await;
    }

    /// Fails unless Redis says exactly what the store says.
    #[track_caller]
    pub(crate) fn check(&self) {
        crate::checker::check(&self.server, self.stage.path());
    }
}

/// Starts a keeper that serves the stage.
pub(crate) fn keep(ledger: Arc<dyn Ledger>, stage: &Stage) -> Keeper {
    let keeper = Keeper::start(ledger);
    keeper.handle().serve(stage.served());
    keeper
}

/// Waits until a keeper has caught up, with a bound.
pub(crate) async fn caught_up(handle: &KeeperHandle) {
    let waited = tokio::time::timeout(PATIENCE, handle.caught_up()).await;
    waited.unwrap_or_else(|_| panic!("never caught up: {:?}", handle.state()));
}

/// Waits until a keeper is behind for this reason.
pub(crate) async fn behind(handle: &KeeperHandle, reason: &str) {
    let count = || {
        let mut errors = handle.counters().errors();
        errors.find(|(found, _)| found.as_str() == reason).unwrap().1
    };
    wait_until(&format!("behind for {reason}"), || count() > 0).await;
}

/// Waits for a level, with a bound, while the keepers of the test go on.
pub(crate) async fn wait_until(what: &str, mut is_reached: impl FnMut() -> bool) {
    let waited = async {
        while !is_reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"));
}

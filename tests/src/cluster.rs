//! A whole Nightshift on this machine: store, coordinator, workers and, where wanted, a Redis.
//!
//! Times are short, so that what takes a minute in a cluster takes seconds here. When a cluster
//! is dropped, everything of it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use nightshift_proto::wire::{Decision, SpecSource, StartRequest};
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::Bench;
use crate::coordinator::{Coordinator, Options};
use crate::log;
use crate::process::{Finished, Program, Running};
use crate::redis::RedisServer;
use crate::store;
use crate::tools::Audit;
use crate::waiting::wait_for;

/// Name of the spec that [`SpecText`](crate::bench::SpecText) writes.
pub const NAME: &str = "flights";

/// How a cluster is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How long a lease lasts without a heartbeat.
    pub lease_ttl: Duration,
    /// Whether there is a Redis.
    pub redis: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { lease_ttl: Duration::from_secs(2), redis: false }
    }
}

/// Everything that runs.
#[derive(Debug)]
pub struct Cluster {
    /// The workers that run; before the rest, so that they end first.
    workers: Vec<Running>,
    /// The first one is there from the start.
    coordinators: Vec<Coordinator>,
    redis: Option<RedisServer>,
    setting: Setting,
    /// What every process finds in its environment.
    environment: Vec<(&'static str, String)>,
    ended: Vec<Finished>,
    bench: Bench,
}

impl Cluster {
    /// A coordinator that is ready, over the spec of `bench`. There is no worker yet.
    pub fn start(bench: Bench, setting: Setting) -> Self {
        bench.put_input();
        let environment = bench.environment();
        Self::start_with(bench, setting, environment)
    }

    /// As [`start`](Self::start), with variables that coordinators and workers find.
    pub fn start_with(
        bench: Bench,
        setting: Setting,
        environment: Vec<(&'static str, String)>,
    ) -> Self {
        let redis = setting.redis.then(RedisServer::start);
        let (workers, coordinators, ended) = (Vec::new(), Vec::new(), Vec::new());
        let mut new = Self { workers, coordinators, redis, setting, environment, ended, bench };
        new.add_coordinator();
        new
    }

    /// The folder with spec, input and output.
    pub fn bench(&self) -> &Bench {
        &self.bench
    }

    /// The output root.
    pub fn output(&self) -> PathBuf {
        self.bench.output()
    }

    // === coordinators ===

    /// Starts a coordinator with the same home on ports of its own; gives its position.
    pub fn add_coordinator(&mut self) -> usize {
        let mut coordinator = Coordinator::start(Options {
            home: self.bench.path("home"),
            redis: self.redis.as_ref().map(RedisServer::url),
            lease_ttl: self.setting.lease_ttl,
            heartbeat: self.setting.lease_ttl / 3,
            arguments: Vec::new(),
            environment: self.environment.clone(),
        });
        coordinator.wait_until_ready();
        self.coordinators.push(coordinator);
        self.coordinators.len() - 1
    }

    /// The first coordinator.
    pub fn coordinator(&mut self) -> &mut Coordinator {
        &mut self.coordinators[0]
    }

    /// All coordinators, those that were killed too.
    pub fn coordinators(&mut self) -> &mut [Coordinator] {
        &mut self.coordinators
    }

    /// Where the first coordinator is called.
    pub fn url(&self) -> String {
        self.coordinators[0].url()
    }

    /// Starts the run of `partition` over gRPC, as often as it takes until a coordinator answers;
    /// gives the run.
    pub fn submit(&self, partition: &str) -> String {
        let client = self.coordinators[0].client();
        let request = StartRequest {
            request_id: format!("submit-{partition}"),
            spec: Some(self.spec()),
            partition: partition.to_owned(),
            requested_by: "tests".to_owned(),
            ..StartRequest::default()
        };
        let response = wait_for("the run is started", || match client.start(request.clone()) {
            Ok(response) => Some(response),
            Err(status) if status.code() == tonic::Code::Unavailable => None,
            Err(status) => panic!("the run of {partition} is refused: {status:?}"),
        });
        assert_ne!(response.decision(), Decision::Unspecified);
        response.run.unwrap().run
    }

    /// The spec, as an operator sends it.
    pub fn spec(&self) -> SpecSource {
        SpecSource {
            yaml: std::fs::read_to_string(self.bench.spec()).unwrap(),
            base: self.bench.path("").display().to_string(),
            file_name: "spec.yaml".to_owned(),
            ..SpecSource::default()
        }
    }

    /// `nightshift COMMAND … --coordinator URL`.
    pub fn operator<const N: usize>(&self, words: [&str; N]) -> Program {
        Program::nightshift().args(words).args(["--coordinator", &self.url()])
    }

    // === workers ===

    /// A worker of the first coordinator with one thread, to be started.
    pub fn worker(&self) -> Program {
        self.worker_of(0)
    }

    /// A worker of the coordinator at `position`, to be started.
    pub fn worker_of(&self, position: usize) -> Program {
        let url = self.coordinators[position].url();
        let worker = Program::worker().args(["--coordinator", &url, "--workers", "1"]).logged();
        self.environment.iter().fold(worker, |worker, (name, value)| worker.env(name, value))
    }

    /// Starts a worker and keeps it; gives its position.
    pub fn add(&mut self, worker: Program) -> usize {
        self.workers.push(worker.start());
        self.workers.len() - 1
    }

    /// The workers that are kept.
    pub fn workers(&mut self) -> &mut [Running] {
        &mut self.workers
    }

    /// Takes a worker away, to be watched by the caller. The last one gets its position.
    pub fn take(&mut self, position: usize) -> Running {
        self.workers.swap_remove(position)
    }

    /// Gives back a worker that was taken away and runs.
    pub fn put_back(&mut self, worker: Running) {
        self.workers.push(worker);
    }

    /// Keeps what a worker that was taken away has left.
    pub fn keep(&mut self, ended: Finished) {
        assert!(!ended.stderr.contains("panicked"), "a worker panicked: {ended}");
        self.ended.push(ended);
    }

    /// Kills a worker with SIGKILL. The last one gets its position.
    pub fn kill_worker(&mut self, position: usize) -> Finished {
        let ended = self.take(position).kill();
        self.keep(ended.clone());
        ended
    }

    /// Tells a worker to end and waits until it has. The last one gets its position.
    pub fn terminate_worker(&mut self, position: usize) -> Finished {
        let mut worker = self.take(position);
        worker.signal(Signal::TERM);
        let ended = worker.finish();
        self.keep(ended.clone());
        ended
    }

    /// What every worker, past and present, said on standard error.
    pub fn logs(&self) -> Vec<String> {
        let ended = self.ended.iter().map(|ended| ended.stderr.clone());
        ended.chain(self.workers.iter().map(Running::stderr_so_far)).collect()
    }

    /// Log lines of all workers with this message.
    pub fn events(&self, message: &str) -> Vec<log::Event> {
        self.logs().iter().flat_map(|said| log::events(said, message)).collect()
    }

    /// How often inference on each shard of `run` was started, over all workers.
    pub fn started(&self, run: &str) -> log::Shards {
        let mut shards = log::Shards::new();
        for event in self.events("inference started").iter().filter(|event| event.run == run) {
            *shards.entry(event.shard).or_default() += 1;
        }
        shards
    }

    /// Shards of `run` on which inference was started more than once, though the coordinator did
    /// not want them tried twice.
    pub fn started_again(&self, run: &str) -> BTreeSet<u32> {
        let granted = self.events("lease granted").into_iter();
        let backups = granted.filter(|event| event.backup && event.run == run);
        let backups: BTreeSet<u32> = backups.map(|event| event.shard).collect();
        let started = self.started(run).into_iter();
        let again = started.filter(|(shard, times)| *times > 1 && !backups.contains(shard));
        again.map(|(shard, _)| shard).collect()
    }

    /// Fails if a process that should run has ended, or if one panicked.
    pub fn assert_sound(&mut self) {
        for coordinator in &mut self.coordinators {
            coordinator.assert_sound();
        }
        for worker in &mut self.workers {
            let ended = worker.has_ended();
            let said = worker.stderr_so_far();
            assert!(!ended && !said.contains("panicked"), "a worker ended by itself:\n{said}");
        }
    }

    // === Redis ===

    /// The Redis.
    pub fn redis(&mut self) -> &mut RedisServer {
        self.redis.as_mut().unwrap()
    }

    /// What the ledger says about each partition.
    pub fn ledger_dates(&mut self) -> BTreeMap<String, Value> {
        let key = format!("nightshift:{{{NAME}}}:dates");
        let said = self.redis().cli(&["HGETALL", &key]).texts();
        let entry = |pair: &[String]| (pair[0].clone(), serde_json::from_str(&pair[1]).unwrap());
        said.chunks_exact(2).map(entry).collect()
    }

    // === the store ===

    /// Waits until `run` has at least so many records.
    pub fn wait_for_records(&self, run: &str, records: usize) {
        wait_for(&format!("{records} records of {run}"), || {
            (self.bench.records(run) >= records).then_some(())
        });
    }

    /// Waits for the final of a generation.
    pub fn wait_for_final(&self, partition: &str, generation: u32) -> Value {
        let name = format!("_nightshift/v1/finals/{partition}/g{generation}.json");
        wait_for(&format!("the final of {partition}"), || {
            self.bench.read(&name).map(|text| serde_json::from_slice(&text).unwrap())
        })
    }

    /// Waits for the marker of a succeeded generation, which comes after its final.
    pub fn wait_for_marker(&self, partition: &str, generation: u32) {
        let folder = match partition {
            "all" => "all".to_owned(),
            date => format!("date={date}"),
        };
        let marker = format!("{folder}/gen={generation}/_SUCCESS");
        wait_for("the marker", || self.bench.has(&marker).then_some(()));
    }

    /// An audit of the output, which also compares with what earlier audits saw.
    pub fn auditor(&self) -> Audit {
        self.bench.auditor().memory(&self.bench.path("seen.json"))
    }

    /// Fails unless every commit that a worker said it won is the record of its shard.
    pub fn assert_commits_kept(&self) {
        let commits = self.events("shard committed").into_iter().filter(|event| event.won);
        let output = self.output();
        for commit in commits {
            let record = store::record(&output, &commit.run, commit.shard);
            let record = record.unwrap_or_else(|| panic!("there is no record for {commit:?}"));
            assert_eq!(record["attempt"].as_str(), commit.attempt.as_deref(), "{commit:?}");
        }
    }
}

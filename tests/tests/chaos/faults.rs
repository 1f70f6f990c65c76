//! The kinds of faults, and how each is brought about and healed.

use std::time::{Duration, Instant};

use nightshift_tests::cluster::Cluster;
use nightshift_tests::coordinator::Coordinator;
use nightshift_tests::process::Running;
use nightshift_tests::random::Random;
use nightshift_tests::redis::RedisServer;
use rustix::process::Signal;

use crate::grants::Restart;
use crate::round::{TTL, worker};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    WorkerKilled,
    WorkerStopped,
    WorkerTerminated,
    CoordinatorKilled,
    CoordinatorStopped,
    CoordinatorsTwo,
    RedisKilled,
    RedisStopped,
    RedisFlushed,
    RedisOldDump,
    RedisForeign,
    RedisReplica,
    RedisFull,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::WorkerTerminated,
        Self::CoordinatorKilled,
        Self::CoordinatorStopped,
        Self::CoordinatorsTwo,
        Self::RedisKilled,
        Self::RedisStopped,
        Self::RedisFlushed,
        Self::RedisOldDump,
        Self::RedisForeign,
        Self::RedisReplica,
        Self::RedisFull,
    ];

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::WorkerKilled => "kill -9 of a worker, replaced",
            Self::WorkerStopped => "SIGSTOP of a worker for 3 TTL",
            Self::WorkerTerminated => "SIGTERM of a worker, replaced",
            Self::CoordinatorKilled => "kill -9 of a coordinator, restarted",
            Self::CoordinatorStopped => "SIGSTOP of a coordinator for 2 TTL",
            Self::CoordinatorsTwo => "two coordinators at once",
            Self::RedisKilled => "Redis killed, restarted empty",
            Self::RedisStopped => "Redis stopped with SIGSTOP",
            Self::RedisFlushed => "Redis wiped with FLUSHALL",
            Self::RedisOldDump => "Redis replaced by an old dump",
            Self::RedisForeign => "Redis replaced by the data of another root",
            Self::RedisReplica => "Redis made a read-only replica",
            Self::RedisFull => "Redis out of memory",
        }
    }

    pub(crate) fn is_of_redis(self) -> bool {
        matches!(
            self,
            Self::RedisKilled
                | Self::RedisStopped
                | Self::RedisFlushed
                | Self::RedisOldDump
                | Self::RedisForeign
                | Self::RedisReplica
                | Self::RedisFull
        )
    }
}

/// Metrics that count what a coordinator meets when something is wrong with its ledger.
const TROUBLE: [&str; 2] = ["nightshift_ledger_errors_total", "nightshift_ledger_rebuilds_total"];

/// What is wrong at the moment.
#[derive(Debug)]
pub(crate) struct Troubles {
    /// The fault of Redis that lasts.
    redis: Option<Fault>,
    /// Workers that are stopped, and until when.
    stopped: Vec<(Running, Instant)>,
    /// The coordinator that is stopped, and until when.
    held: Option<(usize, Instant)>,
    /// Restarts of coordinators so far.
    pub(crate) restarts: Vec<Restart>,
}

impl Troubles {
    /// None yet; what Redis holds now will be the old dump.
    pub(crate) fn none(cluster: &mut Cluster) -> Self {
        cluster.redis().save_dump();
        Self { redis: None, stopped: Vec::new(), held: None, restarts: Vec::new() }
    }

    /// Whether Redis can be asked what it holds.
    pub(crate) fn redis_answers(&self) -> bool {
        !matches!(self.redis, Some(Fault::RedisKilled | Fault::RedisStopped))
    }

    /// How often each coordinator has met trouble with the ledger since it started; none where one
    /// cannot be asked.
    pub(crate) fn met(&self, cluster: &mut Cluster) -> Vec<Option<f64>> {
        let held = self.held.map(|(position, _)| position);
        let met = |(position, coordinator): (usize, &mut Coordinator)| {
            (Some(position) != held).then(|| {
                let text = coordinator.metrics();
                let lines =
                    text.lines().filter(|line| TROUBLE.iter().any(|name| line.starts_with(name)));
                lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
            })
        };
        cluster.coordinators().iter_mut().enumerate().map(met).collect()
    }

    /// Brings a fault about. Faults of workers and coordinators join what is wrong already; one
    /// of Redis comes in the place of the one before.
    pub(crate) fn bring(&mut self, fault: Fault, cluster: &mut Cluster, random: &mut Random) {
        if fault.is_of_redis() {
            self.heal_redis(cluster);
        }
        let any_worker = |random: &mut Random, cluster: &mut Cluster| {
            usize::try_from(random.below(cluster.workers().len() as u64)).unwrap()
        };
        match fault {
            Fault::WorkerKilled => {
                let victim = any_worker(random, cluster);
                assert!(cluster.kill_worker(victim).was_killed());
                self.replace_worker(cluster, random);
            }
            Fault::WorkerTerminated => {
                let victim = any_worker(random, cluster);
                cluster.terminate_worker(victim).expect(75);
                self.replace_worker(cluster, random);
            }
            Fault::WorkerStopped => {
                let victim = any_worker(random, cluster);
                let mut worker = cluster.take(victim);
                worker.signal(Signal::STOP);
                self.stopped.push((worker, Instant::now() + 3 * TTL));
            }
            Fault::CoordinatorKilled => {
                self.release_coordinator(cluster);
                let victim = any_coordinator(random, cluster);
                cluster.coordinators()[victim].kill();
                let restart = Restart::after_kill(cluster);
                cluster.coordinators()[victim].restart();
                cluster.coordinators()[victim].wait_until_ready();
                self.restarts.push(restart);
            }
            Fault::CoordinatorStopped => {
                self.release_coordinator(cluster);
                let victim = any_coordinator(random, cluster);
                cluster.coordinators()[victim].signal(Signal::STOP);
                self.held = Some((victim, Instant::now() + 2 * TTL));
            }
            Fault::CoordinatorsTwo => {
                let position = match cluster.coordinators().len() {
                    1 => cluster.add_coordinator(),
                    _ => 1,
                };
                // Half of the work goes on under each.
                let victim = any_worker(random, cluster);
                cluster.terminate_worker(victim).expect(75);
                cluster.add(worker(cluster, position));
                cluster.add(worker(cluster, position));
            }
            Fault::RedisKilled => cluster.redis().kill(),
            Fault::RedisStopped => cluster.redis().stop_answering(),
            Fault::RedisFlushed => _ = cluster.redis().cli(&["FLUSHALL"]),
            Fault::RedisOldDump => cluster.redis().load_dump(),
            Fault::RedisForeign => be_foreign(cluster.redis()),
            Fault::RedisReplica => _ = cluster.redis().cli(&["REPLICAOF", "127.0.0.1", "1"]),
            Fault::RedisFull => _ = cluster.redis().cli(&["CONFIG", "SET", "maxmemory", "1"]),
        }
        if fault.is_of_redis() {
            self.redis = Some(fault);
        }
    }

    /// Ends what has lasted long enough.
    pub(crate) fn go_on(&mut self, cluster: &mut Cluster, now: Instant) {
        if self.held.is_some_and(|(_, until)| until <= now) {
            self.release_coordinator(cluster);
        }
        let (over, still) =
            std::mem::take(&mut self.stopped).into_iter().partition(|(_, until)| *until <= now);
        self.stopped = still;
        for (mut worker, _) in over {
            worker.signal(Signal::CONT);
            cluster.put_back(worker);
        }
    }

    /// Ends everything that is wrong.
    pub(crate) fn heal(&mut self, cluster: &mut Cluster) {
        let far = Instant::now() + Duration::from_secs(3600);
        self.go_on(cluster, far);
        self.heal_redis(cluster);
    }

    fn heal_redis(&mut self, cluster: &mut Cluster) {
        match self.redis.take() {
            Some(Fault::RedisKilled) => cluster.redis().restart(),
            Some(Fault::RedisStopped) => cluster.redis().go_on(),
            Some(Fault::RedisReplica) => _ = cluster.redis().cli(&["REPLICAOF", "NO", "ONE"]),
            Some(Fault::RedisFull) => _ = cluster.redis().cli(&["CONFIG", "SET", "maxmemory", "0"]),
            _ => {}
        }
    }

    fn release_coordinator(&mut self, cluster: &mut Cluster) {
        if let Some((position, _)) = self.held.take() {
            cluster.coordinators()[position].signal(Signal::CONT);
        }
    }

    fn replace_worker(&self, cluster: &mut Cluster, random: &mut Random) {
        let position = any_coordinator(random, cluster);
        cluster.add(worker(cluster, position));
    }
}

fn any_coordinator(random: &mut Random, cluster: &mut Cluster) -> usize {
    usize::try_from(random.below(cluster.coordinators().len() as u64)).unwrap()
}

/// Has the server start anew with data that says that everything is done, of another root with
/// the same name.
fn be_foreign(redis: &mut RedisServer) {
    let root = "01M84SFFT7KEZSEZRF0DGT3MCA";
    redis.restart();
    redis.cli(&["HSET", "nightshift:{flights}:meta", "root_id", root, "version", "1"]);
    for date in crate::round::DATES {
        let entry = format!(
            r#"{{"root":"{root}","run":"flights-{date}-g1","generation":1,"state":"succeeded",
                "fingerprint":"{}","rows":1,"finished_at":"2013-01-03T00:00:00Z"}}"#,
            "0".repeat(64)
        );
        redis.cli(&["HSET", "nightshift:{flights}:dates", date, &entry]);
    }
}

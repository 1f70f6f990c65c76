//! One round: a cluster, its runs, the faults, the judgements.

use std::time::{Duration, Instant};

use nightshift_tests::bench::SpecText;
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::place::Place;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;

use crate::faults::{Fault, Troubles};

/// Life of a lease without a heartbeat.
pub(crate) const TTL: Duration = Duration::from_secs(1);
/// The dates of a round are the first of these.
pub(crate) const DATES: [&str; 2] = ["2013-01-01", "2013-01-02"];
/// Rows of one shard.
const SHARD_ROWS: u64 = 40;
/// Rows that a worker scores a second: five shards.
const WORKER_ROWS_PER_SECOND: &str = "200";
/// Crashes that a shard may have, so that no round ends because its faults met one shard.
const CRASHES: u32 = 100;

/// A round that goes on.
#[derive(Debug)]
pub(crate) struct Round {
    cluster: Cluster,
    dates: Vec<&'static str>,
    runs: Vec<String>,
    shards: usize,
    audits: u32,
    seen_done: u64,
}

/// What a round did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) fired: Vec<Fault>,
    pub(crate) too_late: Vec<Fault>,
    pub(crate) shards: usize,
    pub(crate) started: usize,
    pub(crate) audits: u32,
    /// Shards that Redis said were done, over all audits.
    pub(crate) seen_done: u64,
}

/// A worker of the coordinator at `position`, slow enough for faults to fall within the run.
pub(crate) fn worker(cluster: &Cluster, position: usize) -> Program {
    cluster.worker_of(position).args(["--max-rows-per-second", WORKER_ROWS_PER_SECOND])
}

impl Round {
    /// One date or two, 60 to 100 shards in all (half of it in a bucket), three workers or four.
    pub(crate) fn start(place: &Place, random: &mut Random) -> Self {
        let dates = DATES[..1 + usize::try_from(random.below(2)).unwrap()].to_vec();
        let each = (60 + random.below(41)) / dates.len() as u64 / place.size(1, 2);
        let spec = SpecText {
            sharding: format!("count: {each}"),
            crashes: Some(CRASHES),
            ..SpecText::default()
        };
        let bench = place.dated(&spec, &dates, each * SHARD_ROWS);
        let mut cluster = Cluster::start(bench, Setting { lease_ttl: TTL, redis: true });
        let runs = dates.iter().map(|date| cluster.submit(date)).collect();
        for _ in 0..3 + random.below(2) {
            cluster.add(worker(&cluster, 0));
        }
        let shards = usize::try_from(each).unwrap() * dates.len();
        Self { cluster, dates, runs, shards, audits: 0, seen_done: 0 }
    }

    /// Brings the faults about, each at a random moment of the run, and judges.
    pub(crate) fn play(mut self, faults: &[Fault], random: &mut Random) -> Done {
        let mut moments: Vec<usize> = faults
            .iter()
            .map(|_| usize::try_from(random.below(self.shards as u64 * 8 / 10)).unwrap())
            .collect();
        moments.sort_unstable();
        self.wait_until_records(1, None);
        let mut troubles = Troubles::none(&mut self.cluster);
        let (mut fired, mut too_late) = (Vec::new(), Vec::new());
        for (&fault, at) in faults.iter().zip(moments) {
            self.wait_until_records(at, Some(&mut troubles));
            if self.is_over() {
                too_late.push(fault);
                continue;
            }
            eprintln!("  at {} of {} records: {fault:?}", self.records(), self.shards);
            let before = troubles.met(&mut self.cluster);
            troubles.bring(fault, &mut self.cluster, random);
            // The run goes on in spite of it, so that the fault meets something to spoil.
            self.wait_until_records(self.records() + 2, Some(&mut troubles));
            let met = !fault.is_of_redis() || self.wait_until_met(&before, &mut troubles);
            if met {
                fired.push(fault)
            } else {
                too_late.push(fault)
            }
            self.audit(&troubles);
        }
        troubles.heal(&mut self.cluster);
        self.judge(&troubles);
        let started = self.runs.iter().map(|run| self.cluster.started(run));
        let started = started.flat_map(|shards| shards.into_values()).sum::<u32>() as usize;
        let Self { shards, audits, seen_done, .. } = self;
        Done { fired, too_late, shards, started, audits, seen_done }
    }

    fn records(&self) -> usize {
        self.runs.iter().map(|run| self.cluster.bench().records(run)).sum()
    }

    fn is_over(&self) -> bool {
        let mut finals =
            self.dates.iter().map(|date| format!("_nightshift/v1/finals/{date}/g1.json"));
        finals.all(|name| self.cluster.bench().has(&name))
    }

    /// Waits for records, or for the end of the runs.
    fn wait_until_records(&mut self, records: usize, mut troubles: Option<&mut Troubles>) {
        let records = records.min(self.shards);
        wait_for(&format!("{records} records of {:?}", self.runs), || {
            if let Some(troubles) = &mut troubles {
                troubles.go_on(&mut self.cluster, Instant::now());
            }
            (self.records() >= records || self.is_over()).then_some(())
        });
    }

    /// Waits until every coordinator has met the fault of Redis that is there now. False if there
    /// is nothing left to do with the ledger in which they could meet it.
    fn wait_until_met(&mut self, before: &[Option<f64>], troubles: &mut Troubles) -> bool {
        wait_for("the coordinators notice what Redis does", || {
            troubles.go_on(&mut self.cluster, Instant::now());
            let idle = self.is_over() && troubles.redis_answers() && self.ledger_is_complete();
            let now = troubles.met(&mut self.cluster);
            let noticed = |(before, now): (&Option<f64>, &Option<f64>)| match (before, now) {
                (Some(before), Some(now)) => now > before,
                _ => true,
            };
            let met = before.iter().zip(&now).all(noticed);
            (met || idle).then_some(met)
        })
    }

    fn ledger_is_complete(&mut self) -> bool {
        let root = store::root_id(&self.cluster.output());
        let said = self.cluster.ledger_dates();
        self.dates.iter().all(|&date| said.get(date).is_some_and(|entry| entry["root"] == root))
    }

    /// An audit in the middle.
    fn audit(&mut self, troubles: &Troubles) {
        let mut audit = self.cluster.auditor().runs(self.runs.len() as u32).open();
        // The copy of a bucket is older than what Redis says now.
        if troubles.redis_answers() && self.cluster.bench().lake().is_none() {
            audit = audit.redis(self.cluster.redis().port()).redis_foreign_ok();
        }
        let counts = audit.passes();
        self.audits += 1;
        self.seen_done += counts["redis_done"].as_u64().unwrap_or_default();
    }

    /// Everything that must hold at the end, now that nothing is wrong any more.
    fn judge(&mut self, troubles: &Troubles) {
        for date in &self.dates {
            let verdict = self.cluster.wait_for_final(date, 1);
            assert_eq!(verdict["state"], "succeeded", "{verdict}");
        }
        wait_for("the ledger has caught up", || self.ledger_is_complete().then_some(()));
        let cluster = &mut self.cluster;
        cluster.assert_sound();
        let runs = self.runs.len() as u32;
        let audit = cluster.auditor().runs(runs).open();
        audit.redis(cluster.redis().port()).redis_complete().passes();
        self.dates.iter().for_each(|date| cluster.wait_for_marker(date, 1));
        cluster.auditor().runs(runs).passes();
        self.audits += 2;
        cluster.assert_commits_kept();
        troubles.restarts.iter().for_each(|restart| restart.check(cluster));
    }
}

//! Two runs at once.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::grpc::wish;
use nightshift_tests::store;

use crate::{FOREVER, SMALL};

const DATES: [&str; 2] = ["2013-01-01", "2013-01-02"];
const SHARDS: u64 = 40;

fn two_runs() -> (Cluster, [String; 2]) {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = Bench::dated(&spec, &DATES, SHARDS * SMALL);
    let cluster = Cluster::start(bench, Setting { lease_ttl: FOREVER, ..Setting::default() });
    let runs = DATES.map(|date| cluster.submit(date));
    (cluster, runs)
}

#[test]
fn two_runs_get_workers_in_turn() {
    let (mut cluster, runs) = two_runs();
    let client = cluster.coordinator().client();
    let mut granted: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..SHARDS {
        let wish = wish(&format!("worker-{number}"), "r", 1);
        let grants = client.acquire(wish).unwrap().grants;
        *granted.entry(grants[0].lease.clone().unwrap().run).or_default() += 1;
        let counts = runs.clone().map(|run| granted.get(&run).copied().unwrap_or_default());
        assert!(counts[0].abs_diff(counts[1]) <= 2, "after {number} grants: {granted:?}");
    }
}

#[test]
fn a_worker_asks_for_one_run_alone() {
    let (mut cluster, runs) = two_runs();
    let only = cluster.worker().args(["--run", &runs[1]]);
    cluster.add(only);
    let verdict = cluster.wait_for_final(DATES[1], 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    assert!(store::recorded(&cluster.output(), &runs[0]).is_empty());
    assert!(cluster.started(&runs[0]).is_empty());
}

#[test]
fn workers_finish_two_runs_side_by_side() {
    let (mut cluster, runs) = two_runs();
    for _ in 0..2 {
        cluster.add(cluster.worker().args(["--max-rows-per-second", "400"]));
    }
    cluster.wait_for_records(&runs[0], SHARDS as usize / 2);
    let other = store::recorded(&cluster.output(), &runs[1]).len();
    assert!(other >= SHARDS as usize / 8, "half of one run is done, and {other} of the other");
    for date in DATES {
        assert_eq!(cluster.wait_for_final(date, 1)["state"], "succeeded");
        cluster.wait_for_marker(date, 1);
    }
    cluster.assert_sound();
    cluster.auditor().runs(2).passes();
    for run in &runs {
        assert_eq!(cluster.started_again(run), BTreeSet::new());
    }
}

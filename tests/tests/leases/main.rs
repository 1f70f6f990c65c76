//! Leases between real workers and a real coordinator: who gets a shard when another is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod gates;
mod judging;
mod runs;
mod sharing;
mod workers;

use std::time::Duration;

use nightshift_tests::bench::SpecText;
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::log;
use nightshift_tests::place::Place;
use nightshift_tests::process::Running;

/// The run of a spec without dates.
const RUN: &str = "flights-all-g1";
/// Rows of a shard that one call of the engine scores.
const SMALL: u64 = 40;
/// Rows of a shard that takes a slow worker several seconds.
const LARGE: u64 = 20_000;
/// What makes a worker slow.
const SLOW: [&str; 2] = ["--max-rows-per-second", "2000"];
/// A lease that no test sees the end of.
const FOREVER: Duration = Duration::from_secs(600);

/// A cluster over `shards` shards of `rows` rows each, under way, without a worker.
fn under_way(place: &Place, shards: u64, rows: u64, lease_ttl: Duration) -> Cluster {
    let spec = SpecText { sharding: format!("count: {shards}"), ..SpecText::default() };
    let bench = place.with(&spec, "flights.parquet", shards * rows);
    let cluster = Cluster::start(bench, Setting { lease_ttl, ..Setting::default() });
    assert_eq!(cluster.submit("all"), RUN);
    cluster
}

/// Adds a slow worker and waits until it scores a shard.
fn add_scoring(cluster: &mut Cluster) -> usize {
    let position = cluster.add(cluster.worker().args(SLOW));
    wait_until_said(&mut cluster.workers()[position], "inference started", 1);
    position
}

fn wait_until_said(worker: &mut Running, message: &str, times: usize) {
    let what = format!("`{message}`, {times} times");
    worker.wait_until_said(&what, |said| log::count(said, message) >= times);
}

/// Waits for a final with every shard, and has the auditor judge it.
fn succeeds(cluster: &mut Cluster, shards: u64) {
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    assert_eq!(verdict["totals"]["committed"], shards, "{verdict}");
    cluster.wait_for_marker("all", 1);
    cluster.assert_sound();
    cluster.auditor().runs(1).passes();
    cluster.assert_commits_kept();
}

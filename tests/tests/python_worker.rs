//! The worker in Python of `examples/python-worker`, alone and beside one in Rust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries::{nightshift_worker, repository};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::Program;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{log, store, tools};
use rustix::process::Signal;

const RUN: &str = "flights-all-g1";
const SHARDS: u64 = 12;

fn cluster(lease_ttl: Duration) -> Cluster {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = Bench::with(&spec, "flights.parquet", SHARDS * 40);
    let cluster = Cluster::start(bench, Setting { lease_ttl, redis: true });
    assert_eq!(cluster.submit("all"), RUN);
    cluster
}

fn python_worker(cluster: &Cluster) -> Program {
    let address = cluster.url();
    Program::new(tools::python())
        .arg(repository().join("examples/python-worker/worker.py"))
        .args(["--coordinator", address.trim_start_matches("http://")])
        .arg("--worker-binary")
        .arg(nightshift_worker())
}

#[track_caller]
fn succeeded(cluster: &mut Cluster) {
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    cluster.wait_for_marker("all", 1);
    cluster.coordinator().assert_sound();
    cluster.auditor().runs(1).passes();
    cluster.bench().command("verify").run().expect(0);
}

#[test]
fn a_worker_in_python_does_a_whole_run() {
    let mut cluster = cluster(Duration::from_secs(2));
    let done = python_worker(&cluster).arg("--exit-when-idle").run().expect(0);
    assert_eq!(done.stdout.lines().filter(|line| line.ends_with(": won")).count(), 12, "{done}");
    succeeded(&mut cluster);
}

#[test]
fn workers_in_two_languages_share_a_run() {
    let mut cluster = cluster(Duration::from_secs(2));
    let mut python = python_worker(&cluster).start();
    // Each does a part of it: the one in Rust comes when the other has done something.
    cluster.wait_for_records(RUN, 1);
    let rust = cluster.add(cluster.worker().args(["--max-rows-per-second", "400"]));
    succeeded(&mut cluster);
    assert!(!python.has_ended(), "it was not told to end when idle");
    python.signal(Signal::TERM);
    let python = python.finish().expect(75);
    let by_python = python.stdout.lines().filter(|line| line.ends_with(": won")).count();
    let by_rust = log::committed(&cluster.workers()[rust].stderr_so_far()).len();
    assert!(by_python >= 1, "{python}");
    assert_eq!(by_python + by_rust, SHARDS as usize, "{python}");
}

#[test]
fn what_a_killed_worker_in_python_leaves_is_done_by_another() {
    let mut cluster = cluster(Duration::from_secs(1));
    let python = python_worker(&cluster).start();
    wait_for("its first record", || {
        (!store::recorded(&cluster.output(), RUN).is_empty()).then_some(())
    });
    assert!(python.kill().was_killed());
    cluster.add(cluster.worker());
    succeeded(&mut cluster);
}

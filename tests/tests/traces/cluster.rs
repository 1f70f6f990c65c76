//! A coordinator and workers, whole and killed.

use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::collector::{Collector, Manner};
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{log, store};

use crate::ENDPOINT;
use crate::trace::Trace;

const RUN: &str = "flights-all-g1";
const STEPS: [&str; 7] = ["read", "infer", "write", "stage", "settle", "publish", "report"];

/// A cluster whose processes send to `collector`.
fn cluster(collector: &Collector, rows: u64) -> Cluster {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", rows);
    let setting = Setting { lease_ttl: Duration::from_secs(1), redis: false };
    Cluster::start_with(bench, setting, vec![(ENDPOINT, collector.endpoint())])
}

/// A worker that takes its time.
fn slow(cluster: &Cluster) -> nightshift_tests::process::Program {
    cluster.worker().args(["--max-rows-per-second", "1000"])
}

#[test]
fn coordinator_and_workers_make_one_trace() {
    let collector = Collector::start(Manner::Takes);
    let mut cluster = cluster(&collector, 4_000);
    let run = cluster.submit("all");
    cluster.add(slow(&cluster));
    cluster.add(slow(&cluster));
    cluster.wait_for_final("all", 1);
    // A drain loses nothing: what a worker has done is sent before it ends.
    (0..2).for_each(|_| drop(cluster.terminate_worker(0)));
    cluster.coordinator().terminate().expect(0);
    let trace = Trace::whole(collector.spans());
    assert_eq!(trace.root().attribute("run"), run);
    assert_eq!(trace.root().service, "nightshift-coordinator");
    assert_eq!(trace.named("plan")[0].service, "nightshift-coordinator");
    let records = store::recorded(&cluster.output(), RUN);
    assert_eq!(trace.committed().into_keys().collect::<Vec<_>>(), Vec::from_iter(records));
    assert!(trace.committed().values().all(|attempts| *attempts == 1));
    trace.assert_attempts(&STEPS);
    let begun = trace.named("attempt").len();
    let said = cluster.events("inference started").len();
    assert!(begun >= said, "{begun} attempts in the trace, {said} in the log");
    for attempt in trace.named("attempt") {
        assert_eq!(attempt.service, "nightshift-worker", "nobody was lost: {attempt:#?}");
    }
}

#[test]
fn the_trace_survives_a_killed_worker_and_a_killed_coordinator() {
    let collector = Collector::start(Manner::Takes);
    let mut cluster = cluster(&collector, 12_000);
    cluster.submit("all");
    let victim = cluster.add(slow(&cluster));
    cluster.workers()[victim].wait_until_said("a shard is committed and another begun", |said| {
        let (begun, done) = ("inference started", "shard committed");
        log::count(said, done) >= 2 && log::count(said, begun) > log::count(said, done)
    });
    // The run's own span is not there before the run has ended, so this is no whole trace yet.
    wait_for("the plan is there", || {
        collector.spans().iter().any(|span| span.name == "plan").then_some(())
    });
    cluster.kill_worker(victim);
    cluster.add(slow(&cluster));
    cluster.add(slow(&cluster));
    wait_for("the coordinator misses the worker", || {
        collector.spans().iter().any(|span| span.attribute("outcome") == "lost").then_some(())
    });
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.wait_for_final("all", 1);
    (0..2).for_each(|_| drop(cluster.terminate_worker(0)));
    cluster.coordinator().terminate().expect(0);

    let trace = Trace::of(&collector);
    trace.assert_attempts(&STEPS);
    let lost = trace.attempts("lost");
    let missed: Vec<_> =
        lost.iter().filter(|one| one.service == "nightshift-coordinator").collect();
    assert!(!missed.is_empty(), "{lost:#?}");
    for attempt in &missed {
        assert_eq!(attempt.failed.as_deref(), Some("lease_expired"));
        let shard = attempt.attribute("shard").parse().unwrap();
        assert!(store::recorded(&cluster.output(), RUN).contains(&shard), "{attempt:#?}");
    }
    // A worker that is killed takes its last second along; what others did is all there.
    let done = trace.committed();
    for event in cluster.logs().iter().skip(1).flat_map(|said| log::events(said, "shard committed"))
    {
        assert!(!event.won || done.get(&event.shard) == Some(&1), "{event:?}");
    }
}

#[test]
fn a_coordinator_that_sends_nothing_is_given_no_spans() {
    let collector = Collector::start(Manner::Takes);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 1_000);
    let mut cluster = Cluster::start(bench, Setting::default());
    cluster.submit("all");
    let worker = cluster.worker().arg("--exit-when-idle").env(ENDPOINT, collector.endpoint());
    worker.run().expect(0);
    assert!(collector.spans().is_empty(), "nobody would send the span that they are within");
    assert!(collector.metrics().contains("nightshift_worker_rows_scored"));
    cluster.assert_sound();
}

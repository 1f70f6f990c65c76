//! Pods that live between two scrapes: what their sidecars hand in, when they end.

use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::ports::free_port;
use nightshift_tests::process::{Finished, Program, Running};
use rustix::process::Signal;

use crate::pages::{assert_page, sidecar_of};

/// Longest that a sidecar may take to end.
const END_MAX: Duration = Duration::from_secs(1);
/// What the machine may take besides: to start, to signal, to be waited for.
const SLACK: Duration = Duration::from_secs(2);

fn cluster() -> Cluster {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 2_000);
    Cluster::start(bench, Setting::default())
}

/// Ends it as Kubernetes does, and fails if that takes too long.
fn end(mut sidecar: Running) -> Finished {
    let started = Instant::now();
    sidecar.signal(Signal::TERM);
    let ended = sidecar.finish().expect(0);
    assert!(started.elapsed() < END_MAX + SLACK, "{:?}: {ended}", started.elapsed());
    ended
}

fn value(page: &str, series: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

#[test]
fn the_numbers_of_a_pod_are_at_the_coordinator_when_it_is_gone() {
    let mut cluster = cluster();
    let run = cluster.submit("all");
    // A pod that dies before anything was scored, and one that does the work.
    let (idle, _) = sidecar_of(&cluster.url(), &run);
    let (sidecar, otlp) = sidecar_of(&cluster.url(), &run);
    let worker = cluster.worker().arg("--exit-when-idle");
    worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp).run().expect(0);
    let before = cluster.coordinator().metrics();
    assert_eq!(value(&before, "nightshift_ended_pods_total{name=\"flights\"}"), None);
    let ended = end(sidecar);
    assert!(ended.stderr.contains("the coordinator has the last numbers"), "{ended}");
    end(idle);

    let page = cluster.coordinator().metrics();
    let families = assert_page(&page);
    assert!(families.contains("nightshift_ended_worker_rows_scored_total"), "{families:?}");
    // One that knows nothing has nothing to hand in.
    assert_eq!(value(&page, "nightshift_ended_pods_total{name=\"flights\"}"), Some(1.0));
    let scored = "nightshift_ended_worker_rows_scored_total{name=\"flights\"}";
    assert_eq!(value(&page, scored), Some(2_000.0));
    let committed =
        "nightshift_ended_worker_attempts_total{name=\"flights\",outcome=\"committed\"}";
    assert_eq!(value(&page, committed), Some(10.0));
    let shards = "nightshift_ended_worker_shard_duration_seconds_count{name=\"flights\"}";
    assert_eq!(value(&page, shards), Some(10.0));
    let peak = "nightshift_ended_worker_memory_peak_bytes{name=\"flights\"}";
    assert!(value(&page, peak).unwrap() > 1e6, "{page}");
    // A second pod is added to the first.
    let (sidecar, otlp) = sidecar_of(&cluster.url(), &run);
    let worker = cluster.worker().arg("--exit-when-idle");
    worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp).run().expect(0);
    end(sidecar);
    let page = cluster.coordinator().metrics();
    assert_eq!(value(&page, "nightshift_ended_pods_total{name=\"flights\"}"), Some(2.0));
    assert_eq!(value(&page, scored), Some(2_000.0));
    cluster.assert_sound();
}

#[test]
fn a_pod_ends_in_time_without_a_coordinator_and_says_so() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 2_000);
    let (sidecar, otlp) = sidecar_of(&nobody, "flights-all-g1");
    let spec = bench.spec();
    let run = Program::nightshift().arg("run").arg(spec);
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp).run().expect(0);
    let ended = end(sidecar);
    assert!(ended.stderr.contains("gone with the pod"), "{ended}");
}

#[test]
fn a_name_that_is_not_served_is_refused_and_takes_no_memory() {
    let mut cluster = cluster();
    cluster.submit("all");
    let (sidecar, otlp) = sidecar_of(&cluster.url(), "another-all-g1");
    let worker = cluster.worker().arg("--exit-when-idle");
    worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp).run().expect(0);
    let ended = end(sidecar);
    assert!(ended.stderr.contains("did not take the last numbers"), "{ended}");
    assert!(ended.stderr.contains("another-all-g1"), "{ended}");
    assert!(!cluster.coordinator().metrics().contains("another"));
}

#[test]
fn an_address_that_is_none_does_not_keep_a_pod_from_starting() {
    let (sidecar, _) = sidecar_of("coordinator:7070", "flights-all-g1");
    let ended = end(sidecar);
    assert!(ended.stderr.contains("will not be handed to the coordinator"), "{ended}");
}

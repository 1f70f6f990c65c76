//! A collector that is away, hangs or refuses: the same rows, the same exit code, in time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::collector::{Collector, Manner};
use nightshift_tests::ports::free_port;
use nightshift_tests::process::Finished;
use nightshift_tests::tools;

use crate::{ENDPOINT, run};

/// What the end may take longer, and what a busy machine adds.
const LATER_MAX: Duration = Duration::from_secs(2 + 8);

/// The visible files of the run, with their bytes.
fn visible(bench: &Bench) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = bench.output().join("all");
    let parts = nightshift_tests::store::names(&all.join("gen=1"), "jsonl");
    assert!(!parts.is_empty());
    parts
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path.strip_prefix(&all).unwrap().to_owned(), bytes)
        })
        .collect()
}

fn jsonl() -> Bench {
    let text = SpecText { format: "jsonl", ..SpecText::default() };
    Bench::with(&text, "flights.parquet", 3_000)
}

fn warnings(ended: &Finished) -> usize {
    ended.stderr.lines().filter(|line| line.contains("WARN")).count()
}

#[test]
fn a_run_is_the_same_whoever_listens() {
    let plain = jsonl();
    let without = run(&plain, "").run().expect(0);
    let wanted = visible(&plain);
    let hanging = Collector::start(Manner::Hangs);
    let away = Collector::start(Manner::Unavailable);
    let refusing = Collector::start(Manner::Refuses);
    for endpoint in [
        format!("http://127.0.0.1:{}", free_port()),
        // Nobody answers there, not even with a refusal (RFC 5737).
        "http://192.0.2.1:4317".to_owned(),
        hanging.endpoint(),
        away.endpoint(),
        refusing.endpoint(),
    ] {
        let bench = jsonl();
        let ended = run(&bench, &endpoint).run().expect(0);
        assert!(visible(&bench) == wanted, "{endpoint}");
        assert!(ended.elapsed < without.elapsed + LATER_MAX, "{endpoint}: {ended}");
        assert!(warnings(&ended) <= 1, "{endpoint}: {ended}");
        tools::audit(&bench.output(), 1);
    }
    assert!(hanging.calls() > 0 && away.calls() > 0 && refusing.calls() > 0);
}

#[test]
fn settings_that_make_no_sense_are_a_warning() {
    let bench = jsonl();
    let ended = run(&bench, "collector:4317").run().expect(0);
    assert_eq!(warnings(&ended), 1, "{ended}");
    assert!(ended.stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{ended}");
}

#[test]
fn a_drain_is_in_time_though_the_collector_hangs() {
    let collector = Collector::start(Manner::Hangs);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 20_000);
    let endpoint = vec![(ENDPOINT, collector.endpoint())];
    let mut cluster = Cluster::start_with(bench, Setting::default(), endpoint);
    cluster.submit("all");
    let worker = cluster.add(cluster.worker().args(["--max-rows-per-second", "1000"]));
    cluster.workers()[worker]
        .wait_until_said("a shard is begun", |said| said.contains("inference started"));
    let told = std::time::Instant::now();
    let ended = cluster.terminate_worker(worker).expect(75);
    assert!(told.elapsed() < Duration::from_secs(12), "{ended}");
    let told = std::time::Instant::now();
    cluster.coordinator().terminate().expect(0);
    assert!(told.elapsed() < Duration::from_secs(12));
}

//! `nightshift run`, and shards by index.

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::collector::{Collector, Manner};
use nightshift_tests::process::Program;

use crate::trace::Trace;
use crate::{ENDPOINT, run};

const STEPS: [&str; 6] = ["read", "infer", "write", "stage", "settle", "publish"];

#[test]
fn a_run_on_this_machine_is_one_trace() {
    let collector = Collector::start(Manner::Takes);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 5_000);
    run(&bench, &collector.endpoint()).run().expect(0);
    // Everything was sent before the command ended.
    let trace = Trace::whole(collector.spans());
    assert_eq!(trace.root().attribute("run"), "flights-all-g1");
    assert_eq!(trace.root().attribute("state"), "succeeded");
    assert_eq!(trace.root().attribute("rows"), "5000");
    assert_eq!(trace.named("plan").len(), 1);
    let shards: usize = trace.root().attribute("shards").parse().unwrap();
    assert!(shards > 1, "one shard would show little");
    assert_eq!(trace.committed().len(), shards);
    assert_eq!(trace.named("attempt").len(), shards);
    trace.assert_attempts(&STEPS);
    assert!(trace.0.iter().all(|span| span.service == "nightshift"));
    assert!(collector.metrics().contains("nightshift_worker_rows_scored"));

    // What is done is done: no second trace.
    run(&bench, &collector.endpoint()).run().expect(0);
    assert_eq!(collector.spans().len(), trace.0.len());
}

#[test]
fn processes_that_share_only_the_output_share_the_trace() {
    let collector = Collector::start(Manner::Takes);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 1_000);
    for index in ["2", "0", "1"] {
        let worker = Program::worker().arg("--spec").arg(bench.spec());
        let worker = worker.args(["--num-shards", "3", "--shard-index", index]);
        worker.env(ENDPOINT, collector.endpoint()).run().expect(0);
    }
    let trace = Trace::whole(collector.spans());
    assert_eq!(trace.committed().into_keys().collect::<Vec<_>>(), [0, 1, 2]);
    trace.assert_attempts(&STEPS);
}

#[test]
fn a_run_that_is_not_sampled_leaves_nothing() {
    let collector = Collector::start(Manner::Takes);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 500);
    run(&bench, &collector.endpoint()).env("OTEL_TRACES_SAMPLER", "always_off").run().expect(0);
    assert!(collector.spans().is_empty());
    assert!(!collector.metrics().is_empty());
}

#[test]
fn a_failed_attempt_says_so() {
    let collector = Collector::start(Manner::Takes);
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 1_000);
    let run = run(&bench, &collector.endpoint()).args(["--fail-shard", "1"]);
    let ended = run.run();
    let trace = Trace::whole(collector.spans());
    let failed = trace.attempts("failed");
    assert_eq!(failed.len(), 1, "{ended}\n{:#?}", trace.0);
    assert_eq!(failed[0].attribute("shard"), "1");
    assert!(failed[0].failed.is_some(), "{:#?}", failed[0]);
    let again = trace.attempts("committed");
    let again: Vec<_> = again.iter().filter(|one| one.attribute("shard") == "1").collect();
    assert_eq!(again.len(), 1);
    assert_eq!((failed[0].attribute("number"), again[0].attribute("number")), ("1", "2"));
}

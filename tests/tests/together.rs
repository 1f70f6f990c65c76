//! Several processes over one output at the same time, and processes that are told to stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Running};
use nightshift_tests::{log, store};
use rustix::process::Signal;

const ROWS: u64 = 12_000;
const SHARDS: u32 = 60;
const RUN: &str = "flights-all-g1";

fn bench(place: &Place) -> Bench {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    place.with(&spec, "flights.parquet", ROWS)
}

/// Starts `processes` runs at once; all succeed, and together they do what one would have done.
fn all_at_once(place: &Place, processes: usize) {
    let bench = bench(place);
    let running: Vec<Running> = (0..processes).map(|_| bench.run().start()).collect();
    let ended: Vec<Finished> =
        running.into_iter().map(|process| process.finish().expect(0)).collect();
    let counts = bench.audit(1);
    assert_eq!((&counts["rows_out"], &counts["shards"]), (&ROWS.into(), &SHARDS.into()));
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    let mut winners = BTreeSet::new();
    for process in &ended {
        for shard in log::committed(&process.stderr).into_keys() {
            assert!(winners.insert(shard), "shard {shard} was won by two processes");
        }
    }
    assert_eq!(winners.len(), SHARDS as usize);
    bench.command("verify").run().expect(0);
}

fn two_runs_started_together_make_one_result(place: &Place) {
    all_at_once(place, 2);
}

fn five_runs_started_together_make_one_result(place: &Place) {
    all_at_once(place, 5);
}

fn when_one_of_two_runs_is_killed_the_other_finishes_its_work(place: &Place) {
    let bench = bench(place);
    let mut first = bench.run().start();
    let second = bench.run().start();
    first.wait_until_said("the first commit", |said| log::count(said, "shard committed") > 0);
    first.kill();
    second.finish().expect(0);
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    bench.audit(1);
}

/// A signal in the middle of a run drains it; the next run continues and computes the rest only.
fn drained_by(place: &Place, signal: Signal) {
    let bench = bench(place);
    // One thread, so that the signal falls well before the end.
    let mut process = bench.command("run").args(["--workers", "1"]).logged().start();
    process.wait_until_said("the first commit", |said| log::count(said, "shard committed") > 0);
    process.signal(signal);
    let drained = process.finish().expect(75);
    let errors = drained.errors();
    assert_eq!(errors.len(), 1, "{drained}");
    assert!(errors[0].contains("drained") && errors[0].contains("run"), "{drained}");
    let kept = store::recorded(&bench.output(), RUN);
    assert!(!kept.is_empty() && kept.len() < SHARDS as usize, "{} records: {drained}", kept.len());
    // What was scored when the signal came was still committed: nothing is thrown away but the
    // one shard in the middle of its rows.
    let begun = log::started(&drained.stderr).len();
    assert!(begun - kept.len() <= 1, "{begun} shards begun, {} recorded: {drained}", kept.len());
    bench.auditor().runs(1).open().passes();

    let next = bench.run().run().expect(0);
    let computed: BTreeSet<u32> = log::started(&next.stderr).into_keys().collect();
    let wanted: BTreeSet<u32> = (0..SHARDS).filter(|shard| !kept.contains(shard)).collect();
    assert_eq!(computed, wanted);
    bench.audit(1);
}

fn sigterm_drains_and_the_next_run_continues(place: &Place) {
    drained_by(place, Signal::TERM);
}

fn sigint_drains_and_the_next_run_continues(place: &Place) {
    drained_by(place, Signal::INT);
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    two_runs_started_together_make_one_result,
    five_runs_started_together_make_one_result,
    when_one_of_two_runs_is_killed_the_other_finishes_its_work,
    sigterm_drains_and_the_next_run_continues,
    sigint_drains_and_the_next_run_continues,
}

nightshift_tests::through_faults! {
    two_runs_started_together_make_one_result,
    when_one_of_two_runs_is_killed_the_other_finishes_its_work,
}

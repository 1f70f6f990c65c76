//! Shards by index: processes that share nothing but the output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::{log, store, tools};

const ROWS: u64 = 6_000;
const SHARDS: u32 = 12;
/// Processes at a time.
const AT_ONCE: usize = 4;
const RUN: &str = "flights-all-g1";

fn worker(bench: &Bench) -> Program {
    let shards = SHARDS.to_string();
    let worker = Program::worker().arg("--spec").arg(bench.spec());
    bench.equipped(worker.args(["--num-shards", &shards]).logged())
}

fn shard(bench: &Bench, index: u32) -> Program {
    worker(bench).arg("--shard-index").arg(index.to_string())
}

/// Every index once, four processes at a time, in the given order; each succeeds.
fn run_all(bench: &Bench, indexes: impl IntoIterator<Item = u32>) {
    let indexes: Vec<u32> = indexes.into_iter().collect();
    for some in indexes.chunks(AT_ONCE) {
        let running: Vec<(u32, Running)> =
            some.iter().map(|&index| (index, shard(bench, index).start())).collect();
        for (index, process) in running {
            let ended = process.finish().expect(0);
            assert_eq!(log::started(&ended.stderr).into_keys().collect::<Vec<_>>(), [index]);
        }
    }
}

fn whoever_sees_the_last_record_makes_the_verdict(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    run_all(&bench, (1..SHARDS).rev());
    assert_eq!(store::recorded(&bench.output(), RUN).len(), SHARDS as usize - 1);
    assert_eq!(store::finals(&bench.output(), "all"), 0, "one shard is undecided");

    // An index that is done computes nothing and is a success, before and after the verdict.
    let repeated = shard(&bench, 3).run().expect(0);
    assert!(log::started(&repeated.stderr).is_empty(), "{repeated}");
    run_all(&bench, [0]);
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    let repeated = shard(&bench, 3).run().expect(0);
    assert!(log::started(&repeated.stderr).is_empty(), "{repeated}");

    let counts = bench.audit(1);
    assert_eq!((&counts["rows_out"], &counts["shards"]), (&ROWS.into(), &SHARDS.into()));
    bench.command("verify").run().expect(0);
}

fn indexes_that_all_start_at_once_make_one_verdict(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    let running: Vec<Running> = (0..SHARDS).map(|index| shard(&bench, index).start()).collect();
    for process in running {
        process.finish().expect(0);
    }
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    bench.audit(1);
}

fn a_killed_index_can_be_run_again(place: &Place) {
    let bench = place.with(&SpecText::default(), "flights.parquet", ROWS);
    let mut process = shard(&bench, 5).start();
    process.wait_until_said("the start of inference", |said| {
        log::count(said, "inference started") > 0
    });
    process.kill();
    run_all(
        &bench,
        (0..SHARDS).filter(|index| !store::recorded(&bench.output(), RUN).contains(index)),
    );
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    bench.audit(1);
}

#[test]
fn the_index_comes_from_the_variables_of_jobs() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    for (variable, index) in [("SHARD_INDEX", 2), ("JOB_COMPLETION_INDEX", 7)] {
        let ended = worker(&bench).env(variable, index.to_string()).run().expect(0);
        assert_eq!(
            log::started(&ended.stderr).into_keys().collect::<Vec<_>>(),
            [index],
            "{variable}"
        );
    }
}

#[test]
fn one_file_becomes_another() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 500);
    for name in ["scores.parquet", "scores.jsonl", "scores.csv"] {
        let output = bench.path(name);
        let program = Program::worker()
            .arg("--model")
            .arg(nightshift_tests::binaries::example_model())
            .arg("--input")
            .arg(bench.path("in/flights.parquet"))
            .arg("--output")
            .arg(&output);
        program.run().expect(0);
        let facts = tools::script("read/one_file.py", [output]);
        assert_eq!((&facts["rows"], &facts["ids_in_order"]), (&500.into(), &true.into()), "{name}");
        assert_eq!(facts["null_scores"], 0, "{name}");
    }
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    whoever_sees_the_last_record_makes_the_verdict,
    indexes_that_all_start_at_once_make_one_verdict,
    a_killed_index_can_be_run_again,
}

nightshift_tests::through_faults! {
    whoever_sees_the_last_record_makes_the_verdict,
    indexes_that_all_start_at_once_make_one_verdict,
    a_killed_index_can_be_run_again,
}

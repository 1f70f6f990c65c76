//! Hours of the day: outside of them nothing begins, and nothing is written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::{log, tools};

const ROWS: u64 = 2_000;

/// A bench whose window opens `from` hours from now and closes two hours later.
fn bench(from: i64) -> Bench {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let hours =
        |offset: i64| now.checked_add(offset.hours()).unwrap().strftime("%H:%M").to_string();
    let window = format!("  window: \"{}-{} UTC\"\n", hours(from), hours(from + 2));
    let text = fs::read_to_string(bench.spec()).unwrap();
    fs::write(bench.spec(), text + &window).unwrap();
    bench
}

#[test]
fn a_closed_window_begins_nothing_and_says_when_it_opens() {
    let bench = bench(2);
    let closed = bench.run().run().expect(75);
    assert!(closed.stdout.contains("paused"), "{closed}");
    assert!(closed.stderr.contains("which opens at"), "{closed}");
    assert!(!bench.output().exists(), "nothing may be written");
    let asked = bench.run().arg("--ignore-window").run().expect(0);
    assert!(asked.stdout.contains("succeeded"), "{asked}");
    // What is done is done at any hour.
    let again = bench.run().run().expect(0);
    assert!(log::started(&again.stderr).is_empty(), "{again}");
    tools::audit(&bench.output(), 1);
}

#[test]
fn an_open_window_changes_nothing() {
    let bench = bench(-1);
    bench.run().run().expect(0);
    let plan = bench.output().join("_nightshift/v1/runs/flights-all-g1/plan.json");
    assert!(fs::read_to_string(plan).unwrap().contains(" UTC\""), "the plan has the window");
    tools::audit(&bench.output(), 1);
}

#[test]
fn a_zone_that_nobody_knows_is_refused() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    let text = fs::read_to_string(bench.spec()).unwrap();
    fs::write(bench.spec(), text + "  window: 01:00-02:00 Mars/Phobos\n").unwrap();
    let refused = bench.run().run().expect(78);
    assert!(refused.stderr.contains("`Mars/Phobos` is not known here"), "{refused}");
}

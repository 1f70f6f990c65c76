//! Several dates in one command: what is wrong with one does not stop the others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;

use nightshift_tests::bench::Bench;
use nightshift_tests::binaries::example;
use nightshift_tests::process::Program;
use nightshift_tests::tools;
use serde_json::Value;

/// A run of the flights example over some dates, its input copied so that it can be damaged.
fn run(bench: &Bench, dates: &str) -> Program {
    Program::nightshift()
        .arg("run")
        .arg(example().join("spec.yaml"))
        .args(["--dates", dates])
        .arg("--input")
        .arg(format!("{}/date={{date}}/*.parquet", bench.path("days").display()))
        .arg("--output")
        .arg(bench.output())
}

fn copy_day(bench: &Bench, day: &str) {
    let from = example().join(format!("data/date={day}/flights.parquet"));
    let to = bench.path("days").join(format!("date={day}"));
    fs::create_dir_all(&to).unwrap();
    fs::copy(from, to.join("flights.parquet")).unwrap();
}

#[test]
fn a_date_without_input_does_not_stop_the_next_and_the_exit_code_says_it() {
    let bench = Bench::new();
    copy_day(&bench, "2013-01-12");
    copy_day(&bench, "2013-01-14");
    let done = run(&bench, "2013-01-12..2013-01-14").args(["--output-format", "json"]).run();
    let done = done.expect(66);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    let states: Vec<&str> =
        summary["dates"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["succeeded", "no input", "succeeded"]);
    assert!(done.errors()[0].contains("2013-01-13"), "{done}");
    tools::audit(&bench.output(), 2);
    // When the input has come, only its date is computed.
    copy_day(&bench, "2013-01-13");
    let later = run(&bench, "2013-01-12..2013-01-14").run().expect(0);
    assert!(later.stdout.contains("2 of 3 dates were done already"), "{later}");
    tools::audit(&bench.output(), 3);
}

#[test]
fn a_damaged_file_spoils_its_own_date_only() {
    let bench = Bench::new();
    copy_day(&bench, "2013-01-12");
    copy_day(&bench, "2013-01-13");
    fs::write(bench.path("days/date=2013-01-12/flights.parquet"), b"").unwrap();
    let done = run(&bench, "2013-01-12..2013-01-13").run().expect(65);
    assert!(done.stdout.contains("2013-01-12  unreadable"), "{done}");
    assert!(done.stdout.contains("2013-01-13  succeeded"), "{done}");
    tools::audit(&bench.output(), 1);
}

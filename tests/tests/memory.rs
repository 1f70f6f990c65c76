//! A file ten times larger does not raise the peak of memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::Program;
use nightshift_tests::{binaries, tools};

/// Rows of the smaller file: enough for each thread to score several shards, so that what
/// allocators keep between two shards is part of the smaller run's peak too.
const ROWS: u64 = 40_000;
/// How much larger the larger file is.
const TIMES: u64 = 10;
/// How much higher its peak may be.
const HIGHER: f64 = 1.3;

/// Runs over the smaller file. The peak of one run varies by a tenth with the moments at which
/// threads meet, so the highest is what a run of that size may take.
const SMALLER_RUNS: u32 = 3;

/// Highest peak of `runs` runs over `rows` rows of `file`, in kilobytes.
fn peak_kb(file: &str, rows: u64, runs: u32) -> u64 {
    let spec = SpecText { sharding: "rows: 5000".to_owned(), ..SpecText::default() };
    let bench = Bench::with(&spec, file, rows);
    let program = binaries::nightshift();
    let words = [program.as_os_str(), "run".as_ref(), bench.spec().into_os_string().as_os_str()]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(["--force", "--workers", "2"].map(Into::into));
    let words: Vec<_> = words.collect();
    let peaks = (0..runs).map(|_| {
        let measured = tools::script("read/peak.py", &words);
        measured["peak_kb"].as_u64().unwrap()
    });
    let highest = peaks.max().unwrap();
    let verify = Program::nightshift().arg("verify").arg(bench.spec());
    let verified = verify.args(["--output-format", "json"]).run().expect(0);
    assert!(verified.stdout.contains(&format!("\"rows_out\": {rows}")), "{verified}");
    highest
}

#[track_caller]
fn flat(file: &str) {
    let small = peak_kb(file, ROWS, SMALLER_RUNS);
    let large = peak_kb(file, ROWS * TIMES, 1);
    let higher = large as f64 / small as f64;
    eprintln!(
        "{file}: {small} kB at {ROWS} rows, {large} kB at {TIMES} times as many ({higher:.2})"
    );
    assert!(higher <= HIGHER, "{file}: {small} kB became {large} kB");
}

#[test]
fn the_peak_of_memory_does_not_grow_with_a_parquet_file() {
    flat("flights.parquet");
}

#[test]
fn the_peak_of_memory_does_not_grow_with_a_csv_file() {
    flat("flights.csv");
}

#[test]
fn the_peak_of_memory_does_not_grow_with_a_jsonl_file() {
    flat("flights.jsonl");
}

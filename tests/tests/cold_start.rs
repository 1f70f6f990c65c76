//! How long it takes from starting the program to the first committed shard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use nightshift_tests::bench::Bench;
use nightshift_tests::binaries;
use nightshift_tests::process::Program;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;

/// Starts that are timed; the best one is what the program needs when nobody is in its way.
const STARTS: usize = 5;

/// From exec to the first record in the output, on the first date of the example.
fn first_record(program: &Path) -> Duration {
    let bench = Bench::new();
    let started = Instant::now();
    let process = Program::new(program)
        .arg("run")
        .arg(binaries::example().join("spec.yaml"))
        .args(["--date", "2013-01-01", "--output"])
        .arg(bench.output())
        .start();
    let run = "flight-delays-2013-01-01-g1";
    let elapsed = wait_for("the first record", || {
        (!store::recorded(&bench.output(), run).is_empty()).then(|| started.elapsed())
    });
    process.finish().expect(0);
    elapsed
}

/// Tells the times and asserts none: how fast this machine is says nothing about the program.
/// What it asserts is that a first record comes, and that the run succeeds.
#[test]
fn cold_start_to_the_first_committed_shard() {
    for (profile, program) in [
        ("this profile", Some(binaries::nightshift())),
        ("release", binaries::release("nightshift")),
    ] {
        let Some(program) = program else { continue };
        let mut times: Vec<Duration> = (0..STARTS).map(|_| first_record(&program)).collect();
        times.sort();
        eprintln!(
            "{profile}: first record after {:.0?} (best of {STARTS}), all: {times:.0?}",
            times[0]
        );
    }
}

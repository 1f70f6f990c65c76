//! SIGTERM in each phase of a worker's life: it exits with 75 in time, nothing is lost, and the
//! run goes on to its final. Each phase is held still, whichever source the shards come from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod alone;
mod last_words;
mod leased;
mod process_1;

use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::hold::At;
use nightshift_tests::process::{Finished, Running};
use rustix::process::Signal;

/// What is promised of a worker that is told to go.
const PROMISED: Duration = Duration::from_secs(12);
/// Phases that are tried side by side: most of their time they wait.
const AT_A_TIME: usize = 4;
/// How long something slow takes that still ends within the drain.
const SLOW: Duration = Duration::from_secs(2);
/// The run of a spec without dates.
const RUN: &str = "flights-all-g1";
const SHARDS: u32 = 2;

/// Something that takes time.
struct Phase {
    name: &'static str,
    at: At,
    /// Whether it takes longer than a drain does, or only a moment of it.
    hangs: bool,
}

const fn phase(name: &'static str, call: &'static str, path: &'static str) -> Phase {
    Phase { name, at: At { call, path }, hangs: true }
}

/// The phases of a shard, whatever its source.
const OF_A_SHARD: [Phase; 6] = [
    phase("reading", "open", "flights.parquet"),
    phase("writing", "write", "/attempts/"),
    phase("sealing", "sync", "/attempts/"),
    phase("just before the record", "link", "/records/"),
    Phase { hangs: false, ..phase("a record that takes 2 s", "link", "/records/") },
    phase("publishing", "link", "/part-"),
];

/// A folder with an input of two shards.
fn bench() -> Bench {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    Bench::with(&spec, "flights.parquet", 200)
}

/// Tells a worker to go; it has to be gone in time, with the exit code of a drain.
fn drain(mut process: Running, what: &str) -> Finished {
    let told = Instant::now();
    process.signal(Signal::TERM);
    gone(process, what, told)
}

fn gone(process: Running, what: &str, told: Instant) -> Finished {
    let ended = process.finish().expect(75);
    let elapsed = told.elapsed();
    eprintln!("| {what} | {:.1} |", elapsed.as_secs_f64());
    assert!(elapsed < PROMISED, "{what}: gone after {elapsed:?}: {ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    assert!(ended.errors().iter().any(|error| error.contains("drained")), "{ended}");
    ended
}

/// Tries phases, a few side by side.
fn each<T: Sync>(phases: &[T], try_one: impl Fn(&T) + Sync) {
    for some in phases.chunks(AT_A_TIME) {
        std::thread::scope(|scope| {
            let tried: Vec<_> = some.iter().map(|phase| scope.spawn(|| try_one(phase))).collect();
            for one in tried {
                one.join().unwrap();
            }
        });
    }
}

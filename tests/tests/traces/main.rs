//! One run, one trace: what a collector gets of runs whose processes die, and what a run is worth
//! to whom no collector listens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod cluster;
mod local;
mod metrics;
mod trace;
mod trouble;

use nightshift_tests::bench::Bench;
use nightshift_tests::process::Program;

/// Where processes send to.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// `nightshift run` of the spec of `bench`, with its spans and numbers going to `endpoint`.
fn run(bench: &Bench, endpoint: &str) -> Program {
    bench.command("run").args(["--log", "warn"]).env(ENDPOINT, endpoint)
}

//! A worker under a hard limit on memory: with its guard it does all rows, without it dies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::flights;
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::tools::audit;

const ROWS: u64 = 24_000;
const PIECE_ROWS: u64 = 4_000;
/// Characters of the text that each row carries over.
const TEXT_CHARS: usize = 2_000;
const MIB: u64 = 1 << 20;

fn bench() -> Bench {
    let bench = Bench::new();
    let keep = vec!["text"];
    let format = "jsonl";
    let sharding = "rows: 4000".to_owned();
    bench.write_spec(&SpecText { sharding, keep, format, ..SpecText::default() }.yaml());
    let real = flights::real();
    let pieces = (0..ROWS).step_by(PIECE_ROWS as usize).map(|done| {
        widened(&flights::numbered(&real, done + 1, PIECE_ROWS), done)
    });
    flights::write_batches(&bench.path("in/flights.jsonl"), pieces);
    bench
}

/// The batch with a text that is carried over; no two are alike.
fn widened(batch: &RecordBatch, first: u64) -> RecordBatch {
    let text = |row: u64| format!("{row:0>TEXT_CHARS$}");
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values((first..).take(batch.num_rows()).map(text)));
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    fields.push(Arc::new(Field::new("text", texts.data_type().clone(), false)));
    columns.push(texts);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// `nightshift run` of many threads: each holds a batch of some megabytes.
fn run(bench: &Bench) -> Program {
    bench.command("run").args(["--workers", "24"]).logged()
}

#[test]
fn probe() {
    for mib in [150_u64, 200, 250, 300, 350, 400, 500, 600, 800] {
        for guard in ["on", "off"] {
            let bench = bench();
            let done = run(&bench)
                .env("NIGHTSHIFT_MEMORY_GUARD", guard)
                .wrapped(["/usr/bin/prlimit".to_owned(), format!("--as={}", mib * MIB)])
                .run();
            let smaller = done.stderr.matches("batches made smaller").count();
            eprintln!("as {mib} {guard}: {:?} {:?} smaller {smaller}", done.status, done.elapsed);
        }
    }
}

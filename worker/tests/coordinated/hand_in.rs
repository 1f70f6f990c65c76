//! `nightshift-worker commit`: what programs in other languages hand in.

use std::path::{Path, PathBuf};
use std::process::Output;

use nightshift_core::record::Verdict;
use serde_json::{Value, json};

use crate::prepared::Prepared;
use crate::program::{program, said};

/// Rows of each shard.
const ROWS: u64 = 100;

/// A file with `rows` lines.
fn file(prepared: &Prepared, name: &str, rows: u64) -> PathBuf {
    let path = prepared.folder.path().join(name);
    let lines: String = (0..rows).map(|row| format!("{{\"flight_id\":{row}}}\n")).collect();
    std::fs::write(&path, lines).unwrap();
    path
}

fn commit(prepared: &Prepared, data: &Path, more: &[&str]) -> Output {
    let root = prepared.root.place().to_owned();
    let run = prepared.run().to_string();
    let data = data.display().to_string();
    let (rows, shard) = (ROWS.to_string(), "3");
    let mut arguments = vec!["commit", "--output-root", &root, "--run", &run, "--data", &data];
    for (flag, value) in [("--shard", shard), ("--rows-in", &rows), ("--rows-out", &rows)] {
        if !more.contains(&flag) {
            arguments.extend([flag, value]);
        }
    }
    program().args(arguments).args(more).output().unwrap()
}

fn printed(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn files_become_the_verdict_of_their_shard_and_the_first_attempt_stays() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let (data, other) = (file(&prepared, "a.jsonl", ROWS), file(&prepared, "b.jsonl", ROWS));
    let (mine, theirs) = ("01J8XW5BRR7CEW2XFC6QHQQTQQ", "01J8XW5BRR7CEW2XFC6QHQQTQR");
    let won = json!({ "outcome": "won", "attempt": mine, "winner": mine });
    assert_eq!(printed(&commit(&prepared, &data, &["--attempt", mine])), won);
    assert_eq!(printed(&commit(&prepared, &data, &["--attempt", mine])), won, "once more");
    let lost = json!({ "outcome": "lost", "attempt": theirs, "winner": mine });
    assert_eq!(printed(&commit(&prepared, &other, &["--attempt", theirs])), lost);
    let record = prepared.record(3).unwrap();
    record.check(&prepared.plan, record.shard).unwrap();
    let visible = prepared.root.path_of(&record.committed().unwrap().output.visible);
    assert_eq!(std::fs::read(visible).unwrap(), std::fs::read(data).unwrap());
}

#[test]
fn a_record_says_what_the_numbers_look_like() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let path = prepared.folder.path().join("scores.jsonl");
    let line = |row: u64| format!("{{\"flight_id\":{row},\"delay\":{}}}\n", row as f64 / 2.0);
    std::fs::write(&path, (0..ROWS).map(line).collect::<String>()).unwrap();
    printed(&commit(&prepared, &path, &[]));
    let record = prepared.record(3).unwrap();
    record.check(&prepared.plan, record.shard).unwrap();
    let scores = record.committed().unwrap().scores.clone().unwrap();
    assert_eq!(scores.columns().len(), 1, "the id is no score: {scores:?}");
    let delay = scores.column("delay").unwrap();
    let range = delay.range().unwrap();
    assert_eq!((delay.rows(), range.min, range.max), (ROWS, 0.0, (ROWS - 1) as f64 / 2.0));
    assert_eq!(range.mean, (ROWS - 1) as f64 / 4.0);
}

#[test]
fn a_visible_file_that_is_missing_is_made_by_repeating() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let data = file(&prepared, "a.jsonl", ROWS);
    let attempt = ["--attempt", "01J8XW5BRR7CEW2XFC6QHQQTQQ"];
    printed(&commit(&prepared, &data, &attempt));
    let record = prepared.record(3).unwrap();
    let visible = prepared.root.path_of(&record.committed().unwrap().output.visible);
    std::fs::remove_file(&visible).unwrap();
    printed(&commit(&prepared, &data, &attempt));
    assert!(visible.is_file());
}

#[test]
fn rejects_are_counted_by_reason_and_committed_beside() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let data = file(&prepared, "a.jsonl", ROWS - 3);
    let rejects = file(&prepared, "r.jsonl", 3).display().to_string();
    let out = (ROWS - 3).to_string();
    let by_reason = "missing_value=2,too_late=1";
    let more = ["--rows-out", &out, "--rejects", &rejects, "--rejects-by-reason", by_reason];
    let printed = printed(&commit(&prepared, &data, &more));
    assert_eq!(printed["outcome"], "won");
    let Verdict::Committed(committed) = prepared.record(3).unwrap().verdict else { panic!() };
    let reasons: Vec<_> = committed.rejects_by_reason.into_iter().collect();
    assert_eq!(reasons, [("missing_value".to_owned(), 2), ("too_late".to_owned(), 1)]);
    assert!(prepared.root.path_of(&committed.rejects.unwrap().visible).is_file());
}

#[test]
fn what_does_not_fit_the_plan_is_refused_and_leaves_no_record() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let right = file(&prepared, "right.jsonl", ROWS);
    let short = file(&prepared, "short.jsonl", ROWS - 1);
    let parquet = Prepared::new(ROWS);
    let rejects = file(&prepared, "r.jsonl", 50).display().to_string();
    let by_50 = ["--rows-out", "50", "--rejects", &rejects, "--rejects-by-reason", "bad=50"];
    let half = file(&prepared, "half.jsonl", 50);
    let missing = prepared.folder.path().join("missing.jsonl");
    for (name, output, code, says) in [
        ("a row less in the file", commit(&prepared, &short, &[]), 65, "99 rows, not 100"),
        ("a row less told", commit(&prepared, &short, &["--rows-out", "99"]), 65, "100 rows"),
        ("rows of nowhere", commit(&prepared, &right, &["--rows-in", "99"]), 65, "99 were read"),
        ("over budget", commit(&prepared, &half, &by_50), 65, "50 of 100"),
        ("rejects uncounted", commit(&prepared, &right, &["--rejects", &rejects]), 64, "--rejects"),
        ("another format", commit(&parquet, &right, &[]), 65, "not a parquet file"),
        ("no such file", commit(&prepared, &missing, &[]), 66, "missing.jsonl"),
        ("no such shard", commit(&prepared, &right, &["--shard", "9"]), 64, "9 shards"),
        ("no attempt", commit(&prepared, &right, &["--attempt", "7"]), 64, "ULID"),
        (
            "a reason twice",
            commit(&prepared, &half, &["--rejects-by-reason", "a=1,a=2"]),
            64,
            "twice",
        ),
    ] {
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
    }
    assert!(prepared.decided().is_empty() && parquet.decided().is_empty());
}

#[test]
fn an_unknown_run_or_root_is_missing_input_and_makes_no_folder() {
    let prepared = Prepared::with_format(ROWS, "jsonl");
    let data = file(&prepared, "a.jsonl", ROWS).display().to_string();
    let root = prepared.root.place().to_owned();
    let nowhere = prepared.folder.path().join("nowhere");
    let elsewhere = nowhere.display().to_string();
    for (root, run) in [(&root, "flights-all-g2"), (&elsewhere, "flights-all-g1")] {
        let counts = ["--shard", "0", "--rows-in", "1", "--rows-out", "1"];
        let named = ["commit", "--output-root", root, "--run", run, "--data", &data];
        let output = program().args(named).args(counts).output().unwrap();
        assert_eq!(output.status.code(), Some(66), "{}", said(&output));
    }
    assert!(!nowhere.exists());
}

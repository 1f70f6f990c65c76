//! The operator's commands against a real coordinator with real workers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries::example;
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::{store, tools};
use rustix::process::Signal;
use serde_json::Value;

const DATES: [&str; 2] = ["2013-01-01", "2013-01-02"];
const RUNS: [&str; 2] = ["flights-2013-01-01-g1", "flights-2013-01-02-g1"];
const SHARDS: u64 = 10;
const SHARD_ROWS: u64 = 40;
/// Half a second for each shard.
const SLOW: [&str; 2] = ["--max-rows-per-second", "80"];

/// A coordinator over two dates of which nothing has been submitted yet.
fn cluster() -> Cluster {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = Bench::dated(&spec, &DATES, SHARDS * SHARD_ROWS);
    Cluster::start(bench, Setting { lease_ttl: Duration::from_secs(2), redis: true })
}

fn submit(cluster: &Cluster) -> Program {
    let spec = cluster.bench().spec();
    cluster.operator(["submit", spec.to_str().unwrap(), "--dates", "2013-01-01..2013-01-02"])
}

/// What a command prints for scripts.
fn json(program: Program) -> Value {
    let done = program.args(["--output-format", "json"]).run().expect(0);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

fn status(cluster: &Cluster, run: &str) -> Value {
    json(cluster.operator(["status", run]))
}

/// The words of a line of a table, without what changes from run to run.
fn line<'a>(done: &'a Finished, start: &str) -> Vec<&'a str> {
    let line = done.stdout.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line starts with {start}: {done}"))
        .split_whitespace()
        .collect()
}

#[test]
fn what_is_submitted_is_run_and_the_command_says_how_it_ended() {
    let mut cluster = cluster();
    for _ in 0..2 {
        cluster.add(cluster.worker());
    }
    let done = submit(&cluster).arg("--wait").run().expect(0);
    for date in DATES {
        assert_eq!(line(&done, &format!("{date}  succeeded"))[1], "succeeded");
    }
    let total = line(&done, "total");
    assert_eq!(&total[1..3], ["800", "800"], "{done}");
    cluster.auditor().runs(2).passes();
    // It is done, for the coordinator and for whoever reads the output alone.
    let again = json(submit(&cluster));
    for at in 0..2 {
        assert_eq!(again["dates"][at]["decision"], "done", "{again}");
        assert_eq!(again["dates"][at]["run"], RUNS[at], "{again}");
    }
    let spec = cluster.bench().spec();
    let words = ["--dates", "2013-01-01..2013-01-02"];
    let own = Program::nightshift().arg("run").arg(&spec).args(words).run().expect(0);
    assert!(own.stdout.contains("2 of 2 dates were done already"), "{own}");
    Program::nightshift().arg("verify").arg(&spec).args(words).run().expect(0);
    cluster.assert_sound();
}

#[test]
fn a_run_is_the_same_in_one_process_and_in_a_cluster() {
    let bench = Bench::new();
    let mut cluster = Cluster::start(bench, Setting { redis: true, ..Setting::default() });
    for _ in 0..4 {
        cluster.add(cluster.worker());
    }
    let spec = example().join("spec.yaml");
    let words = ["--dates", "2013-01-01..2013-01-02"];
    let output = cluster.output();
    let submitted = cluster.operator(["submit", spec.to_str().unwrap(), "--wait"]);
    let submitted = submitted.args(words).arg("--output").arg(&output).run().expect(0);
    let alone = cluster.bench().path("alone");
    let run = Program::nightshift().arg("run").arg(&spec).args(words);
    let run = run.arg("--output").arg(&alone).run().expect(0);
    // The same table: date, state, rows in and out, rejects, shards.
    for start in ["2013-01-01  succeeded", "2013-01-02  succeeded"] {
        let table = |done: &Finished| {
            let lines = done.stdout.lines().filter(|line| line.starts_with(start));
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
            let lines: Vec<Vec<String>> = lines.map(words).collect();
            lines.iter().find(|words| words.len() == 8).map(|words| words[..6].to_vec())
        };
        assert_eq!(table(&submitted).unwrap(), table(&run).unwrap(), "{submitted}{run}");
    }
    let fingerprint =
        |output, date| store::verdict(output, date, 1).unwrap()["fingerprint"].clone();
    for date in DATES {
        assert_eq!(fingerprint(&output, date), fingerprint(&alone, date));
    }
    tools::audit(&output, 2);
    tools::audit(&alone, 2);
}

#[test]
fn status_and_why_say_what_goes_on() {
    let mut cluster = cluster();
    let started = json(submit(&cluster));
    assert_eq!(started["dates"][0]["decision"], "started", "{started}");
    let nobody = cluster.operator(["why", RUNS[0]]).run().expect(0);
    assert!(nobody.stdout.contains("worker"), "it does not say that nobody works: {nobody}");
    cluster.add(cluster.worker().args(SLOW));
    cluster.wait_for_records(RUNS[0], 1);
    let all = cluster.operator(["status", "--unfinished"]).run().expect(0);
    for run in RUNS {
        assert_eq!(line(&all, run)[1], "running", "{all}");
    }
    let one = status(&cluster, RUNS[0]);
    assert!(one.to_string().contains("\"running\""), "{one}");
    let shard = cluster.operator(["why", RUNS[0], "0"]).run().expect(0);
    assert!(shard.stdout.contains("Shard 0"), "{shard}");
    // The run is followed to its end, with a coordinator that dies on the way.
    let mut watch = cluster.operator(["status", RUNS[0], "--watch"]).start();
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.add(cluster.worker());
    assert!(!watch.has_ended());
    let watched = watch.finish().expect(0);
    assert!(watched.stdout.contains("succeeded"), "{watched}");
    cluster.operator(["status", "flights-2013-01-09-g1"]).run().expect(66);
}

#[test]
fn cancel_and_retry() {
    let mut cluster = cluster();
    let mut waiting = submit(&cluster).arg("--wait").start();
    cluster.add(cluster.worker().args(SLOW));
    cluster.wait_for_records(RUNS[0], 2);
    let words = ["cancel", RUNS[0], "--yes", "--reason", "wrong model"];
    cluster.operator(words).run().expect(0);
    let verdict = cluster.wait_for_final(DATES[0], 1);
    assert_eq!(verdict["state"], "partial", "{verdict}");
    let why = cluster.operator(["why", RUNS[0]]).run().expect(0);
    assert!(why.stdout.contains("wrong model"), "{why}");
    assert!(!waiting.has_ended(), "the other date is not done yet");
    cluster.add(cluster.worker());
    let waited = waiting.finish().expect(65);
    assert!(waited.stdout.contains("partial"), "{waited}");
    let retried = cluster.operator(["retry", RUNS[0], "--wait"]).run().expect(0);
    assert!(retried.stdout.contains("succeeded"), "{retried}");
    let verdict = store::verdict(&cluster.output(), DATES[0], 2).unwrap();
    assert!(verdict["totals"]["inherited"].as_u64().unwrap() >= 2, "{verdict}");
    cluster.auditor().runs(3).passes();
    // What succeeded is not tried again.
    let refused = cluster.operator(["retry", "flights-2013-01-01-g2"]).run();
    assert!(matches!(refused.code(), Some(64 | 78)), "{refused}");
}

#[test]
fn waiting_outlives_the_coordinator_and_can_be_given_up() {
    let mut cluster = cluster();
    let mut waiting = submit(&cluster).arg("--wait").start();
    cluster.add(cluster.worker().args(SLOW));
    cluster.wait_for_records(RUNS[0], 1);
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.wait_for_records(RUNS[0], 3);
    assert!(!waiting.has_ended(), "{}", waiting.stderr_so_far());
    waiting.signal(Signal::INT);
    let left = waiting.finish().expect(75);
    assert!(left.stderr.contains("nightshift"), "it does not say how to look again: {left}");
    // The runs go on without it.
    cluster.add(cluster.worker());
    for date in DATES {
        assert_eq!(cluster.wait_for_final(date, 1)["state"], "succeeded");
    }
}

#[test]
fn a_wrong_address_is_named() {
    let mut cluster = cluster();
    cluster.coordinator().kill();
    let url = cluster.url();
    for words in [["status", "--give-up-after"], ["why", RUNS[0]], ["cancel", RUNS[0]]] {
        let program = match words {
            ["status", flag] => cluster.operator(["status", flag, "1s"]),
            [command, run] => cluster.operator([command, run, "--give-up-after", "1s"]),
        };
        let done = program.run().expect(69);
        assert!(done.stderr.contains(&url), "{done}");
        assert_eq!(done.errors().len(), 1, "{done}");
    }
}

#[test]
fn a_date_that_cannot_be_run_is_refused_with_the_exit_code_of_its_reason() {
    let cluster = cluster();
    let spec = cluster.bench().spec();
    let spec = spec.to_str().unwrap();
    cluster.operator(["submit", spec, "--date", "2013-01-09"]).run().expect(66);
    let text = std::fs::read_to_string(spec).unwrap();
    cluster.bench().write_spec(&text.replace("kind: tabular", "kind: tabluar"));
    let refused = cluster.operator(["submit", spec, "--date", "2013-01-01"]).run().expect(78);
    assert!(refused.stderr.contains("tabluar"), "{refused}");
    assert!(store::runs(&cluster.output()).is_empty());
    cluster.bench().write_spec(&text);
    cluster.operator(["submit", spec, "--date", "2013-01-01"]).run().expect(0);
    cluster.bench().write_spec(&text.replace("name: flights", "name: others"));
    let refused = cluster.operator(["submit", spec, "--date", "2013-01-01"]).run().expect(78);
    assert!(refused.stderr.contains("of spec `flights`, not of `others`"), "{refused}");
}

//! `nightshift top` on a real terminal, against a real coordinator and its workers, and against
//! the output of a run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::Program;
use nightshift_tests::terminal::OnTerminal;
use nightshift_tests::waiting::wait_for;
use rustix::process::Signal;
use serde_json::Value;

const DATE: &str = "2013-01-01";
const SHARDS: u64 = 40;
const SHARD_ROWS: u64 = 40;
/// Two shards a second, so that there is something to see.
const SLOW: [&str; 2] = ["--max-rows-per-second", "80"];

/// A coordinator with one run and one slow worker.
fn busy() -> Cluster {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = Bench::dated(&spec, &[DATE], SHARDS * SHARD_ROWS);
    let mut cluster =
        Cluster::start(bench, Setting { lease_ttl: Duration::from_secs(2), redis: false });
    cluster.submit(DATE);
    let worker = cluster.worker().args(SLOW);
    cluster.add(worker);
    cluster
}

fn top(cluster: &Cluster) -> Program {
    cluster.operator(["top", "--interval", "200ms"])
}

/// Rows written so far, as the line of the selected run says.
fn rows_written(shown: &str) -> Option<u64> {
    let line = shown.lines().find(|line| line.starts_with("rows 1,600: "))?;
    line.split(": ").nth(1)?.split(' ').next()?.replace(',', "").parse().ok()
}

#[test]
fn rows_move_keys_work_and_the_terminal_is_given_back() {
    let mut cluster = busy();
    let mut terminal = OnTerminal::start(top(&cluster), 100, 30);
    terminal.wait_until_shown("ready");
    let first = terminal.wait_until("rows", rows_written);
    assert!(!terminal.is_restored(), "the terminal is taken over");
    let then =
        terminal.wait_until("more rows", |shown| rows_written(shown).filter(|it| *it > first));
    assert!(then <= SHARDS * SHARD_ROWS);
    // Who works on what, and how fast it goes.
    terminal.wait_until("a worker that scores", |shown| {
        shown.lines().any(|line| line.contains("scores") || line.contains("waits")).then_some(())
    });
    let run = |shown: &str| shown.lines().find(|line| line.starts_with("> ")).map(str::to_owned);
    terminal.wait_until("a rate and an ETA", |shown| {
        let line = run(shown)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let rate = words.iter().rev().nth(2)?.parse::<u64>().ok()?;
        (rate > 0 && words.iter().rev().nth(1)?.ends_with(['s', 'm'])).then_some(())
    });

    terminal.press("/nothing-like-it\r");
    terminal.wait_until_shown("no run matches");
    terminal.press("\x1b");
    terminal.wait_until_shown("> flights");
    terminal.press("?");
    terminal.wait_until_shown("select a run");
    terminal.press("?");
    terminal.press("p");
    terminal.wait_until_shown("PAUSED");
    terminal.press("p");
    for (columns, lines) in [(80, 24), (20, 5), (3, 2), (200, 60), (80, 24)] {
        terminal.resize(columns, lines);
    }
    terminal.wait_until_shown("> flights");
    terminal.press("q");
    let (code, restored) = terminal.finish();
    assert_eq!((code, restored), (Some(0), true));
    cluster.assert_sound();
}

#[test]
fn every_end_gives_the_terminal_back() {
    let cluster = busy();
    for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let mut terminal = OnTerminal::start(top(&cluster), 80, 24);
        terminal.wait_until_shown("> flights");
        assert!(!terminal.is_restored(), "the terminal is taken over");
        match signal {
            Some(signal) => terminal.signal(signal),
            None => terminal.press("\x03"),
        }
        assert_eq!(terminal.finish(), (Some(0), true), "{signal:?}");
    }
    // An error is told on the terminal of before.
    let nobody = Program::nightshift()
        .args(["top", "--interval", "100ms", "--give-up-after", "500ms"])
        .args(["--coordinator", "http://127.0.0.1:1"]);
    let terminal = OnTerminal::start(nobody, 80, 24);
    wait_for("the error", || terminal.written().contains("error:").then_some(()));
    let seen = terminal.written();
    assert!(seen.contains("no answer since"), "{seen}");
    assert_eq!(terminal.finish(), (Some(69), true));
}

#[test]
fn a_coordinator_that_goes_and_comes_back_is_waited_for() {
    let mut cluster = busy();
    let mut terminal = OnTerminal::start(top(&cluster), 120, 30);
    terminal.wait_until_shown("> flights");
    cluster.coordinator().kill();
    terminal.wait_until_shown("OLD, as of ");
    assert!(terminal.shown().contains("> flights"), "what was seen last stays");
    cluster.coordinator().restart();
    terminal.wait_until("news", |shown| {
        (!shown.contains("OLD") && shown.contains("ready")).then_some(())
    });
    terminal.press("q");
    assert_eq!(terminal.finish(), (Some(0), true));
}

#[test]
fn no_color_is_respected() {
    let cluster = busy();
    let colours = |written: &str| written.contains("\x1b[38;5;") || written.contains("\x1b[31m");
    let ended = |program: Program| {
        let mut terminal = OnTerminal::start(program, 80, 24);
        // What nobody answers about is red.
        terminal.wait_until_shown("no answer since");
        let written = terminal.written();
        terminal.press("q");
        assert_eq!(terminal.finish(), (Some(0), true));
        written
    };
    let nobody = || Program::nightshift().args(["top", "--coordinator", "http://127.0.0.1:1"]);
    assert!(colours(&ended(nobody().env("NO_COLOR", ""))));
    assert!(!colours(&ended(nobody().env("NO_COLOR", "1"))));
    drop(cluster);
}

#[test]
fn without_a_terminal_there_are_lines() {
    let cluster = busy();
    let once = cluster.operator(["top", "--once"]).run().expect(0);
    assert!(once.stdout.contains("flights-2013-01-01-g1  running"), "{once}");
    assert!(!once.stdout.contains('\x1b'), "{once}");
    assert!(once.stdout.lines().all(|line| line.chars().count() <= 80), "{once}");

    let mut json = top(&cluster).args(["--output-format", "json"]).start();
    wait_for("three looks", || (json.stdout_so_far().lines().count() >= 3).then_some(()));
    json.signal(Signal::TERM);
    let json = json.finish().expect(0);
    let looks: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for look in &looks {
        assert_eq!((&look["answers"], &look["ready"]), (&true.into(), &true.into()), "{look}");
        assert_eq!(look["runs"][0]["run"], "flights-2013-01-01-g1");
    }
    assert!(looks[1]["runs"][0]["rows_per_s"].is_number(), "{}", looks[1]);

    let nobody = Program::nightshift().args(["top", "--once", "--give-up-after", "100ms"]);
    let done = nobody.args(["--coordinator", "http://127.0.0.1:1"]).run().expect(69);
    assert!(done.stderr.contains("has not answered"), "{done}");
    Program::nightshift().args(["top", "--interval", "1ms"]).run().expect(64);
}

#[test]
fn an_output_is_looked_at_without_a_coordinator() {
    let spec = SpecText { sharding: "count: 4".to_owned(), ..SpecText::default() };
    let bench = Bench::dated(&spec, &[DATE, "2013-01-02"], 160);
    let output = bench.output();
    let look = || {
        let program = Program::nightshift().args(["top", "--once", "--output-format", "json"]);
        let done = program.arg("--output").arg(&output).run().expect(0);
        serde_json::from_str::<Value>(&done.stdout).unwrap()
    };
    assert_eq!(look()["runs"].as_array().unwrap().len(), 0, "nothing is there yet");
    Program::nightshift().arg("run").arg(bench.spec()).args(["--date", DATE]).run().expect(0);
    let seen = look();
    assert_eq!(seen["runs"][0]["run"], "flights-2013-01-01-g1");
    assert_eq!(seen["runs"][0]["state"], "succeeded");
    assert_eq!(seen["runs"][0]["rows"]["out"], 160);

    // One shard of the next date, by one of four processes: the run is under way.
    let worker = Program::worker().arg("--spec").arg(bench.spec()).args(["--date", "2013-01-02"]);
    worker.args(["--shard-index", "0", "--num-shards", "4"]).run().expect(0);
    let seen = look();
    let open = &seen["runs"][0];
    assert_eq!(
        (&open["run"], &open["state"]),
        (&"flights-2013-01-02-g1".into(), &"running".into())
    );
    assert_eq!((&open["shards"]["committed"], &open["shards"]["ready"]), (&1.into(), &3.into()));
    assert_eq!((&open["rows"]["planned"], &open["rows"]["out"]), (&160.into(), &40.into()));

    let program = Program::nightshift().arg("top").arg("--output").arg(&output);
    let mut terminal = OnTerminal::start(program, 80, 24);
    terminal.wait_until_shown("shards 4: 1 committed, 3 free");
    terminal.press("j");
    terminal.wait_until_shown("shards 4: 4 committed");
    terminal.press("q");
    assert_eq!(terminal.finish(), (Some(0), true));
}

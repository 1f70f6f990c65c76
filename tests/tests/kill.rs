//! A run of 200 shards that is killed with SIGKILL at any moment, again and again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::random::Random;
use nightshift_tests::{log, store, tools};

/// Rows of the input.
const ROWS: u64 = 40_000;
/// Shards that they are cut into.
const SHARDS: u32 = 200;
/// Rounds in the ordinary suite; a round is one run from nothing to its final.
const ROUNDS: u32 = 5;
/// Environment variable with another number of rounds.
const ROUNDS_VARIABLE: &str = "NIGHTSHIFT_TEST_ROUNDS";
/// Kills in one round, after which the run is left alone: the longest round ends.
const KILLS_MAX: u32 = 12;

/// What one round did.
#[derive(Debug, Default)]
struct Round {
    /// Records that existed at each kill.
    records_at_kills: Vec<usize>,
    /// Model calls on shards, over all processes of the round.
    started: usize,
}

#[test]
fn a_run_killed_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut random = Random::for_test("a_run_killed_at_any_moment");
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |text| text.parse().unwrap());
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    let bench = Bench::with(&spec, "flights.parquet", ROWS);
    // A kill must fall within the run, so the run is measured first.
    let undisturbed = bench.run().run().expect(0).elapsed;
    tools::audit(&bench.output(), 1);
    let mut done = Vec::new();
    for _ in 0..rounds {
        std::fs::remove_dir_all(bench.output()).unwrap();
        done.push(round(&bench, undisturbed, &mut random));
    }
    summarise(&done, undisturbed);
    let mid_run = |&records: &usize| records > 0 && records < SHARDS as usize;
    let kills = || done.iter().flat_map(|round| &round.records_at_kills);
    assert!(kills().any(mid_run), "no kill fell between the first and the last record: {done:?}");
    let different: BTreeSet<usize> = kills().copied().collect();
    assert!(different.len() > 1, "all kills fell at the same moment: {done:?}");
}

/// One run over nothing, killed until it gets through.
fn round(bench: &Bench, undisturbed: Duration, random: &mut Random) -> Round {
    let output = bench.output();
    let mut round = Round::default();
    let last = loop {
        let before = store::recorded(&output, "flights-all-g1");
        let delay = random.up_to(undisturbed);
        let started = Instant::now();
        let mut process = bench.run().start();
        let spared = round.records_at_kills.len() >= KILLS_MAX as usize;
        // Not a sleep before a check: the moment of the kill is what the test varies.
        while (spared || started.elapsed() < delay) && !process.has_ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        let process = process.kill();
        let shards = log::started(&process.stderr);
        let again: Vec<&u32> = shards.keys().filter(|shard| before.contains(shard)).collect();
        assert!(
            again.is_empty(),
            "shards {again:?} had a record and were computed again: {process}"
        );
        assert!(shards.values().all(|&times| times == 1), "a shard was computed twice: {process}");
        round.started += shards.len();
        if !process.was_killed() {
            break process;
        }
        round.records_at_kills.push(store::recorded(&output, "flights-all-g1").len());
    };
    last.expect(0);
    let counts = tools::audit(&output, 1);
    assert_eq!(counts["rows_out"], ROWS);
    assert_eq!(counts["shards"], SHARDS);
    assert_eq!(store::finals(&output, "all"), 1);
    bench.command("verify").run().expect(0);
    round
}

/// Prints what the kills met, for whoever judges whether they were hard enough.
fn summarise(rounds: &[Round], undisturbed: Duration) {
    let kills: Vec<usize> =
        rounds.iter().flat_map(|round| round.records_at_kills.iter().copied()).collect();
    let within = |from: usize, to: usize| kills.iter().filter(|&&n| n >= from && n < to).count();
    let shards = SHARDS as usize;
    let started: usize = rounds.iter().map(|round| round.started).sum();
    let lost = started - rounds.len() * shards;
    eprintln!(
        "{} rounds, {} kills; an undisturbed run takes {undisturbed:?}; \
         records at the kill: none {}, 1-66 {}, 67-133 {}, 134-199 {}, all {}; \
         {started} shards computed, {lost} of them cut short by a kill",
        rounds.len(),
        kills.len(),
        within(0, 1),
        within(1, 67),
        within(67, 134),
        within(134, shards),
        within(shards, usize::MAX),
    );
}

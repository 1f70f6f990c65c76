//! A run of 200 shards (40 in a bucket) that is killed with SIGKILL at any moment, again and again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::random::Random;
use nightshift_tests::{log, store};

/// Rows of a shard.
const SHARD_ROWS: u64 = 200;
/// Shards on a volume.
const SHARDS: u32 = 200;
/// Shards in a bucket.
const SHARDS_IN_BUCKET: u32 = 40;
/// Rounds in the ordinary suite; a round is one run from nothing to its final.
const ROUNDS: u32 = 5;
/// The same in a bucket.
const ROUNDS_IN_BUCKET: u32 = 2;
/// Environment variable with another number of rounds.
const ROUNDS_VARIABLE: &str = "NIGHTSHIFT_TEST_ROUNDS";
/// Kills in one round, after which the run is left alone: the longest round ends.
const KILLS_MAX: u32 = 12;
/// The same in a bucket.
const KILLS_MAX_IN_BUCKET: u32 = 5;

/// What one round did.
#[derive(Debug, Default)]
struct Round {
    /// Records that existed at each kill.
    records_at_kills: Vec<usize>,
    /// Model calls on shards, over all processes of the round.
    started: usize,
}

fn a_run_killed_at_any_moment_loses_nothing_and_doubles_nothing(place: &Place) {
    let mut random = Random::for_test("a_run_killed_at_any_moment");
    let rounds = place.size(ROUNDS, ROUNDS_IN_BUCKET);
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(rounds, |text| text.parse().unwrap());
    let shards = place.size(SHARDS, SHARDS_IN_BUCKET);
    let spec = SpecText { sharding: format!("count: {shards}"), ..SpecText::default() };
    let bench = place.with(&spec, "flights.parquet", u64::from(shards) * SHARD_ROWS);
    // A kill must fall within the run, so the run is measured first.
    let undisturbed = bench.run().run().expect(0).elapsed;
    bench.audit(1);
    let mut done = Vec::new();
    for _ in 0..rounds {
        bench.change_output(|output| std::fs::remove_dir_all(output).unwrap());
        done.push(round(&bench, shards, undisturbed, &mut random));
    }
    summarise(&done, shards as usize, undisturbed);
    let mid_run = |&records: &usize| records > 0 && records < shards as usize;
    let kills = || done.iter().flat_map(|round| &round.records_at_kills);
    assert!(kills().any(mid_run), "no kill fell between the first and the last record: {done:?}");
    let different: BTreeSet<usize> = kills().copied().collect();
    assert!(different.len() > 1, "all kills fell at the same moment: {done:?}");
}

/// One run over nothing, killed until it gets through.
fn round(bench: &Bench, count: u32, undisturbed: Duration, random: &mut Random) -> Round {
    let mut round = Round::default();
    let last = loop {
        let before = store::recorded(&bench.output(), "flights-all-g1");
        let delay = random.up_to(undisturbed);
        let started = Instant::now();
        let mut process = bench.run().start();
        let kills_max = if bench.lake().is_some() { KILLS_MAX_IN_BUCKET } else { KILLS_MAX };
        let spared = round.records_at_kills.len() >= kills_max as usize;
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
        round.records_at_kills.push(store::recorded(&bench.output(), "flights-all-g1").len());
    };
    last.expect(0);
    let counts = bench.audit(1);
    assert_eq!(counts["rows_out"], u64::from(count) * SHARD_ROWS);
    assert_eq!(counts["shards"], count);
    assert_eq!(store::finals(&bench.output(), "all"), 1);
    bench.command("verify").run().expect(0);
    round
}

/// Prints what the kills met, for whoever judges whether they were hard enough.
fn summarise(rounds: &[Round], shards: usize, undisturbed: Duration) {
    let kills: Vec<usize> =
        rounds.iter().flat_map(|round| round.records_at_kills.iter().copied()).collect();
    let within = |from: usize, to: usize| kills.iter().filter(|&&n| n >= from && n < to).count();
    let started: usize = rounds.iter().map(|round| round.started).sum();
    let lost = started - rounds.len() * shards;
    eprintln!(
        "{} rounds, {} kills; an undisturbed run takes {undisturbed:?}; \
         records at the kill: none {}, first third {}, second {}, last {}, all {}; \
         {started} shards computed, {lost} of them cut short by a kill",
        rounds.len(),
        kills.len(),
        within(0, 1),
        within(1, shards / 3),
        within(shards / 3, shards * 2 / 3),
        within(shards * 2 / 3, shards),
        within(shards, usize::MAX),
    );
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    a_run_killed_at_any_moment_loses_nothing_and_doubles_nothing,
}

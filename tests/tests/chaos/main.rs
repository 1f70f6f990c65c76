//! Runs during which everything is killed, stopped, wiped or doubled, in random order.
//!
//! A round is a cluster with a Redis, one date or two, three or four workers, and some faults.
//! Each fault falls when the run has a random number of records, so a round means the same on a
//! slow machine. After every fault and at the end the auditor judges all bytes. At the end all
//! faults of Redis are healed, and the ledger must catch up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod faults;
mod grants;
mod round;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

use nightshift_tests::place::Place;
use nightshift_tests::random::Random;

use faults::Fault;
use round::{Done, Round};

/// Rounds in the ordinary suite.
const ROUNDS: u32 = 4;
/// The same in a bucket.
const ROUNDS_IN_BUCKET: u32 = 1;
/// Rounds that may be added until every kind of fault has fired.
const ROUNDS_MORE: u32 = 3;
/// Environment variable with another number of rounds.
const ROUNDS_VARIABLE: &str = "NIGHTSHIFT_TEST_ROUNDS";

#[test]
fn chaos_breaks_no_promise() {
    let summary = chaos("chaos_breaks_no_promise", &Place::Volume, ROUNDS, ROUNDS_MORE);
    assert!(summary.seen_done > 0, "no audit has seen a shard in the ledger");
    assert!(summary.missing().is_empty(), "these never fired: {:?}", summary.missing());
}

/// The same over a bucket whose store spoils requests on top of it all.
#[test]
#[ignore = "takes minutes: cargo nextest run --workspace --run-ignored all -E 'test(chaos)'"]
fn chaos_breaks_no_promise_in_a_bucket() {
    let test = "chaos_breaks_no_promise_in_a_bucket";
    let summary = chaos(test, &Place::faulty(test), ROUNDS_IN_BUCKET, 0);
    assert!(!summary.fired.is_empty(), "nothing went wrong");
}

fn chaos(test: &str, place: &Place, rounds: u32, more: u32) -> Summary {
    let mut random = Random::for_test(test);
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(rounds, |text| text.parse().unwrap());
    let mut deck = Deck::default();
    let mut summary = Summary::default();
    while summary.rounds < rounds
        || (summary.rounds < rounds + more && !summary.missing().is_empty())
    {
        let faults = deck.deal(&mut random);
        let words: Vec<String> = faults.iter().map(|fault| format!("{fault:?}")).collect();
        eprintln!("round {}: {}", summary.rounds + 1, words.join(", "));
        let started = Instant::now();
        let done = Round::start(place, &mut random).play(&faults, &mut random);
        deck.put_back(&done.too_late);
        summary.add(done, started.elapsed());
    }
    eprintln!("{}", summary.text());
    summary
}

/// Kinds of faults in random order, each once before any comes again.
#[derive(Debug, Default)]
struct Deck(VecDeque<Fault>);

impl Deck {
    /// The faults of the next round: few enough that the run goes on between two of them, so
    /// many that the rounds of the ordinary suite have each kind.
    fn deal(&mut self, random: &mut Random) -> Vec<Fault> {
        let few = Fault::ALL.len().div_ceil(ROUNDS as usize) as u64;
        (0..few + random.below(3)).map(|_| self.next(random)).collect()
    }

    fn next(&mut self, random: &mut Random) -> Fault {
        if self.0.is_empty() {
            let mut all = Fault::ALL;
            random.shuffle(&mut all);
            self.0.extend(all);
        }
        self.0.pop_front().unwrap()
    }

    fn put_back(&mut self, faults: &[Fault]) {
        for &fault in faults {
            self.0.push_front(fault);
        }
    }
}

/// What all rounds did.
#[derive(Debug, Default)]
struct Summary {
    rounds: u32,
    fired: BTreeMap<Fault, u32>,
    shards: usize,
    started: usize,
    audits: u32,
    seen_done: u64,
    elapsed: Duration,
}

impl Summary {
    fn add(&mut self, done: Done, elapsed: Duration) {
        self.rounds += 1;
        self.shards += done.shards;
        self.started += done.started;
        self.audits += done.audits;
        self.seen_done += done.seen_done;
        self.elapsed += elapsed;
        for fault in done.fired {
            *self.fired.entry(fault).or_default() += 1;
        }
    }

    fn missing(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| !self.fired.contains_key(fault)).collect()
    }

    fn text(&self) -> String {
        let Self { rounds, fired, shards, started, audits, seen_done, elapsed } = self;
        let faults: u32 = fired.values().sum();
        let mut text = format!(
            "{rounds} rounds in {elapsed:.0?}, {faults} faults, {audits} audits without a finding; \
             {shards} shards, {started} attempts begun; Redis said {seen_done} times that a shard was \
             done, and it had a record"
        );
        for fault in Fault::ALL {
            write!(text, "\n{:>6}  {}", fired.get(&fault).unwrap_or(&0), fault.words()).unwrap();
        }
        text
    }
}

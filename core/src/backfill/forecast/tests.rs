use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::backfill::{
    Concluded, Index, Input as Found, Rules, Step, Store, Stored, Tick, Turn, Why,
};
use crate::conclusion::Totals;
use crate::decide::Release;
use crate::ids::Generation;
use crate::spec::Reprocess;

/// A run of `rows` rows that took `seconds` and ended `at` seconds after the others began.
fn run(state: FinalState, rows: u64, seconds: i64, at: i64) -> Final {
    let decided_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(at);
    Final {
        version: Final::VERSION,
        run: "flights-2013-01-01-g1".parse().unwrap(),
        state,
        fingerprint: Digest([1; 32]),
        model_digest: Digest([1; 32]),
        planned_at: decided_at - SignedDuration::from_secs(seconds),
        decided_at,
        totals: Totals { rows_in: rows, ..Totals::default() },
        quarantined: Vec::new(),
        scores: None,
        gate: None,
    }
}

#[test]
fn the_pace_is_the_median_of_the_last_runs_that_tell_one() {
    use FinalState::{Partial, Succeeded};
    let pace = |past: &[Final]| Pace::of(past);
    assert_eq!(pace(&[]), None);
    let one = run(Succeeded, 6_000, 10, 100);
    assert_eq!(pace(std::slice::from_ref(&one)), Some(Pace { rows_per_s: 600.0, runs: 1 }));
    let two = [one.clone(), run(Succeeded, 6_000, 30, 200)];
    assert_eq!(pace(&two), Some(Pace { rows_per_s: 400.0, runs: 2 }));
    // None of these says how long a run takes.
    let mut taken_over = run(Succeeded, 9_000, 1, 300);
    taken_over.totals.inherited = 3;
    let silent = [
        taken_over,
        run(Partial, 9_000, 1, 300),
        run(Succeeded, 0, 1, 300),
        run(Succeeded, 9, 0, 300),
    ];
    assert!(!silent.iter().any(is_telling));
    assert_eq!(pace(&silent), None);
    // Six runs, in any order: the oldest, which was much faster, does not count, and one that lay
    // for a night does not matter.
    let mut six: Vec<Final> = (1..=4).map(|n| run(Succeeded, 6_000, 10, n * 100)).collect();
    six.push(run(Succeeded, 6_000, 40_000, 500));
    six.push(run(Succeeded, 600_000, 1, 50));
    six.extend(silent);
    assert_eq!(pace(&six), Some(Pace { rows_per_s: 600.0, runs: 5 }));
    six.reverse();
    let pace = pace(&six).unwrap();
    assert_eq!((pace.rows_per_s, pace.minutes(72_000)), (600.0, 2.0));
}

fn generation(n: u32) -> Generation {
    Generation::new(n).unwrap()
}

fn start(inherit: Option<u32>) -> Instruction {
    let inherit = inherit.map(generation);
    let why = Why::Missing;
    Instruction::Start { generation: generation(2), inherit, retry: 0, instead_of: None, why }
}

#[test]
fn what_is_committed_has_not_to_be_scored_again() {
    let input = |fingerprint| Some(Input { rows: 1_000, fingerprint: Digest([fingerprint; 32]) });
    let mut partial = run(FinalState::Partial, 1_000, 10, 100);
    partial.totals.rows_quarantined = 200;
    let newest = Some(&partial);
    let run = crate::backfill::Dead { generation: generation(1), epoch: 0 };
    let join = Instruction::Join { run, holder: "there:7".into() };
    let leave = Instruction::Leave { generation: generation(1), holder: "there:7".into() };
    let skip = Instruction::Skip { generation: generation(1), write_back: false };
    let cases = [
        (start(None), input(1), newest, None, Some(1_000)),
        (start(None), None, None, None, None),
        (start(Some(1)), input(1), newest, None, Some(200)),
        // Another input, or another generation than the one at hand.
        (start(Some(1)), input(2), newest, None, Some(1_000)),
        (start(Some(3)), input(1), newest, None, Some(1_000)),
        (start(Some(1)), None, newest, None, None),
        (join.clone(), None, None, Some(30), Some(30)),
        (join, input(1), None, None, Some(1_000)),
        (leave.clone(), None, None, Some(7), Some(7)),
        (leave, None, None, None, None),
        (Instruction::NoInput, None, None, None, Some(0)),
        (Instruction::Unreadable("torn".into()), None, None, None, None),
        (skip, input(1), newest, None, Some(0)),
    ];
    for (instruction, input, newest, undecided, expected) in cases {
        let found = rows_to_do(&instruction, input, newest, undecided);
        assert_eq!(found, expected, "{instruction:?} {input:?} {undecided:?}");
    }
}

/// How a date may stand.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Done,
    Failed,
    Missing,
    NoInput,
}

/// Decides about dates of these kinds, oldest first, with so many places.
fn decide(kinds: &[Kind], order: Order, places: usize) -> Vec<Decided> {
    let dates: Vec<Partition> =
        (1..=kinds.len()).map(|day| format!("2013-01-{day:02}").parse().unwrap()).collect();
    let rules = Rules { reprocess: Reprocess::Never, force: false };
    let silent = dates.iter().map(|date| (*date, Index::Silent));
    let mut tick = Tick::new(rules, order, places, silent);
    let kind = |date: &Partition| kinds[dates.iter().position(|one| one == date).unwrap()];
    loop {
        match tick.step() {
            Step::AskStore(asked) => {
                for date in asked {
                    let concluded = |state, retries| {
                        let (model, fingerprint) = (Digest([1; 32]), Digest([1; 32]));
                        let (generation, release) = (generation(1), Release::Open);
                        Some(Concluded { generation, state, release, model, fingerprint, retries })
                    };
                    let concluded = match kind(&date) {
                        Kind::Done => concluded(FinalState::Succeeded, 0),
                        Kind::Failed => concluded(FinalState::Failed, 0),
                        Kind::Missing | Kind::NoInput => None,
                    };
                    tick.store(date, Store::Says(Stored { concluded, open: None }));
                }
            }
            Step::AskInput(date) => tick.input(
                date,
                match kind(&date) {
                    Kind::NoInput => Found::Missing,
                    _ => Found::Present { fingerprint: Digest([2; 32]) },
                },
            ),
            Step::AskModel => unreachable!("nothing is compared"),
            Step::Decided(decided) => return decided,
        }
    }
}

proptest! {
    /// What is foretold of the first tick is what it does, and what is foretold of a later one is
    /// what that one does when those before it have done their dates.
    #[test]
    fn ticks_do_what_is_foretold(
        kinds in prop::collection::vec(
            prop::sample::select(vec![Kind::Done, Kind::Failed, Kind::Missing, Kind::NoInput]),
            0..20,
        ),
        newest in any::<bool>(),
        dates_max in 1..4_usize,
    ) {
        let order = if newest { Order::Newest } else { Order::Oldest };
        let foretold = ticks(&decide(&kinds, order, kinds.len()), order, dates_max);
        let mut kinds = kinds;
        let last = foretold.values().max().copied().unwrap_or(0);
        for number in 1..=last + 1 {
            let decided = decide(&kinds, order, dates_max);
            let now = decided.iter().filter(|one| one.turn == Turn::Now);
            let now: Vec<Partition> = now.map(|one| one.partition).collect();
            let expected = foretold.iter().filter(|(_, tick)| **tick == number);
            prop_assert_eq!(&now, &expected.map(|(date, _)| *date).collect::<Vec<_>>());
            for one in decided.iter().enumerate().filter(|(_, one)| one.turn == Turn::Now) {
                kinds[one.0] = Kind::Done;
            }
        }
    }
}

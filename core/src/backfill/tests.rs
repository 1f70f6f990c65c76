use proptest::prelude::*;

use super::*;
use crate::conclusion::FinalState::{self, Failed, Partial, Succeeded};
use crate::decide::Release;
use crate::ids::{Digest, Generation, Partition};
use crate::spec::Order;
use crate::spec::Reprocess::{self, Never, OnAnyChange, OnModelChange};

const OLD: Digest = Digest([1; 32]);
const NEW: Digest = Digest([2; 32]);

fn generation(n: u32) -> Generation {
    Generation::new(n).unwrap()
}

fn rules(reprocess: Reprocess) -> Rules {
    Rules { reprocess, force: false }
}

fn indexed(model: Option<Digest>) -> Index {
    Index::Done(Indexed { generation: generation(1), model, fingerprint: OLD })
}

/// A verdict with the old model and the old fingerprint.
fn concluded(n: u32, state: FinalState, retries: u32) -> Option<Concluded> {
    let release = Release::Open;
    let generation = generation(n);
    Some(Concluded { generation, state, release, model: OLD, fingerprint: OLD, retries })
}

fn open(n: u32, planned: Option<Digest>, is_alive: bool) -> Option<Open> {
    let holder = "there:7".to_owned();
    Some(Open { generation: generation(n), planned, epoch: 3, holder, is_forced: false, is_alive })
}

fn says(concluded: Option<Concluded>, open: Option<Open>) -> Option<Store> {
    Some(Store::Says(Stored { concluded, open }))
}

fn present(fingerprint: Digest) -> Option<Input> {
    Some(Input::Present { fingerprint })
}

fn start(n: u32, inherit: Option<u32>, retry: u32, why: Why) -> Instruction {
    let inherit = inherit.map(generation);
    let instead_of = match why {
        Why::Abandoned { of } => Some(Dead { generation: of, epoch: 3 }),
        _ => None,
    };
    Instruction::Start { generation: generation(n), inherit, retry, instead_of, why }
}

fn skip(write_back: bool) -> Instruction {
    Instruction::Skip { generation: generation(1), write_back }
}

/// What is judged when these are known, in this order.
fn judged(
    index: Index,
    store: Option<Store>,
    input: Option<Input>,
    reprocess: Reprocess,
    model: Option<Digest>,
) -> Judgement {
    judge(&Known { index, store, input }, rules(reprocess), model)
}

#[test]
fn a_date_that_the_ledger_calls_done_costs_nothing_under_never() {
    for model in [None, Some(OLD)] {
        let found = judged(indexed(model), None, None, Never, None);
        assert_eq!(found, Judgement::Do(skip(false)));
    }
}

#[test]
fn a_date_that_the_ledger_calls_done_is_compared_as_the_setting_says() {
    let done = || indexed(Some(OLD));
    let cases = [
        (OnModelChange, None, None, Judgement::Need(Need::Model)),
        (OnModelChange, Some(OLD), None, Judgement::Do(skip(false))),
        (OnModelChange, Some(NEW), None, Judgement::Need(Need::Store)),
        (OnAnyChange, None, None, Judgement::Need(Need::Fingerprint)),
        (OnAnyChange, None, present(OLD), Judgement::Do(skip(false))),
        (OnAnyChange, None, present(NEW), Judgement::Need(Need::Store)),
        (
            OnAnyChange,
            None,
            Some(Input::Missing),
            Judgement::Do(Instruction::Keep { generation: generation(1) }),
        ),
    ];
    for (reprocess, model, input, expected) in cases {
        let found = judged(done(), None, input.clone(), reprocess, model);
        assert_eq!(found, expected, "{reprocess:?} {model:?} {input:?}");
    }
    // An entry that does not say its model: the store does.
    assert_eq!(
        judged(indexed(None), None, None, OnModelChange, Some(OLD)),
        Judgement::Need(Need::Store)
    );
    let store = says(concluded(1, Succeeded, 0), None);
    assert_eq!(
        judged(indexed(None), store, None, OnModelChange, Some(OLD)),
        Judgement::Do(skip(false))
    );
}

#[test]
fn what_a_gate_withholds_is_left_to_a_person() {
    let done = |release| concluded(1, Succeeded, 0).map(|done| Concluded { release, ..done });
    let held = |rejected| Instruction::Held { generation: generation(1), rejected };
    let dead = || open(2, Some(OLD), false);
    let cases = [
        (Release::Waiting, None, held(false)),
        (Release::Rejected, None, held(true)),
        (Release::Approved, None, skip(true)),
        (Release::Waiting, dead(), held(false)),
    ];
    for (release, open, expected) in cases {
        for reprocess in [Never, OnModelChange] {
            // A stale one that waits is not run again either; an approved one is.
            let model = if release == Release::Approved { OLD } else { NEW };
            let model = if open.is_some() { OLD } else { model };
            let store = says(done(release), open.clone());
            let found = judged(Index::Silent, store, present(OLD), reprocess, Some(model));
            assert_eq!(found, Judgement::Do(expected.clone()), "{release:?} {reprocess:?}");
        }
    }
}

#[test]
fn every_row_in_which_the_store_decides() {
    let anything_else = [Index::Silent, Index::Unavailable];
    let retry = |of: u32, state| Why::Retry { of: generation(of), state };
    let changed = Why::ModelChanged { from: OLD, to: NEW };
    let leave = Instruction::Leave { generation: generation(2), holder: "there:7".into() };
    let run = Dead { generation: generation(2), epoch: 3 };
    let join = Instruction::Join { run, holder: "there:7".into() };
    let give_up = |state| Instruction::GiveUp { generation: generation(3), state };
    let done = || concluded(1, Succeeded, 0);
    let cases = [
        // Nothing.
        (says(None, None), Never, start(1, None, 0, Why::Missing)),
        // Succeeded: current, and stale.
        (says(done(), None), Never, skip(true)),
        (says(concluded(1, Succeeded, 2), None), Never, skip(true)),
        (says(done(), None), OnModelChange, start(2, None, 0, changed)),
        (says(done(), None), OnAnyChange, start(2, None, 0, Why::AnyChanged)),
        // Partial and failed: retries left, and none.
        (says(concluded(1, Partial, 0), None), Never, start(2, Some(1), 1, retry(1, Partial))),
        (says(concluded(2, Failed, 1), None), Never, start(3, Some(2), 2, retry(2, Failed))),
        (says(concluded(3, Failed, 2), None), Never, give_up(Failed)),
        (says(concluded(3, Partial, 9), None), OnAnyChange, give_up(Partial)),
        // Claimed without a final: held, dead, dead with another model, dead before its plan.
        (says(None, open(2, None, true)), Never, leave.clone()),
        (says(done(), open(2, Some(NEW), true)), OnAnyChange, leave),
        (says(done(), open(2, Some(NEW), false)), OnModelChange, join.clone()),
        // The reason to do it again has gone away.
        (says(done(), open(2, Some(NEW), false)), Never, skip(true)),
        (says(concluded(1, Partial, 0), open(2, None, false)), Never, join.clone()),
        (says(done(), open(2, None, false)), OnAnyChange, join),
        (
            says(None, open(2, Some(OLD), false)),
            Never,
            start(3, None, 0, Why::Abandoned { of: generation(2) }),
        ),
    ];
    for index in anything_else {
        for (store, reprocess, expected) in &cases {
            let found = judged(index.clone(), store.clone(), present(NEW), *reprocess, Some(NEW));
            assert_eq!(found, Judgement::Do(expected.clone()), "{index:?} {store:?} {reprocess:?}");
            // Before anybody looked at store and input it is the store that is asked.
            let before = judged(index.clone(), None, None, *reprocess, None);
            assert_eq!(before, Judgement::Need(Need::Store));
        }
    }
}

#[test]
fn a_request_whose_process_died_is_carried_out() {
    let asked = open(2, Some(OLD), false).map(|open| Open { is_forced: true, ..open });
    let store = says(concluded(1, Succeeded, 0), asked);
    let found = judged(Index::Silent, store, present(OLD), Never, Some(OLD));
    let run = Dead { generation: generation(2), epoch: 3 };
    let join = Instruction::Join { run, holder: "there:7".into() };
    assert_eq!(found, Judgement::Do(join));
}

#[test]
fn without_input_nothing_is_started() {
    let unreadable = || Input::Unreadable("bad footer".into());
    for (input, expected) in [
        (Input::Missing, Instruction::NoInput),
        (unreadable(), Instruction::Unreadable("bad footer".into())),
    ] {
        for store in [
            says(None, None),
            says(concluded(1, Partial, 0), None),
            says(None, open(1, None, false)),
            says(None, open(1, Some(OLD), false)),
        ] {
            let found = judged(Index::Silent, store.clone(), Some(input.clone()), Never, Some(NEW));
            assert_eq!(found, Judgement::Do(expected.clone()), "{store:?}");
        }
        // What is done stays done.
        let store = says(concluded(1, Succeeded, 0), None);
        let found = judged(Index::Silent, store, Some(input), OnModelChange, Some(NEW));
        assert_eq!(found, Judgement::Do(Instruction::Keep { generation: generation(1) }));
    }
}

#[test]
fn nobody_starts_anything_when_nobody_can_tell() {
    let store = Some(Store::Unavailable("timed out".into()));
    for index in [Index::Silent, Index::Unavailable] {
        for force in [false, true] {
            let known = Known { index: index.clone(), store: store.clone(), input: present(NEW) };
            let found = judge(&known, Rules { reprocess: OnAnyChange, force }, Some(NEW));
            assert_eq!(found, Judgement::Do(Instruction::Unavailable("timed out".into())));
        }
    }
}

#[test]
fn force_starts_the_next_generation_whatever_is_there() {
    let force = Rules { reprocess: Never, force: true };
    for (store, n) in [
        (says(None, None), 1),
        (says(concluded(1, Succeeded, 0), None), 2),
        (says(concluded(3, Failed, 2), None), 4),
        (says(concluded(1, Succeeded, 0), open(2, None, true)), 3),
    ] {
        let known = Known { index: indexed(Some(OLD)), store, input: present(OLD) };
        let expected = Judgement::Do(start(n, None, 0, Why::Asked));
        assert_eq!(judge(&known, force, Some(OLD)), expected);
    }
}

#[test]
fn every_instruction_has_words_that_fit_a_table() {
    let long = [
        skip(false),
        start(1, None, 0, Why::ModelChanged { from: OLD, to: NEW }),
        Instruction::GiveUp { generation: generation(3), state: Failed },
        Instruction::NoInput,
        Instruction::Keep { generation: generation(12) },
    ];
    for instruction in long {
        assert!(instruction.to_string().len() <= 48, "{instruction}");
        assert!(instruction.state().len() <= 10 && instruction.action().len() <= 6);
    }
}

fn date(day: u32) -> Partition {
    format!("2013-01-{day:02}").parse().unwrap()
}

fn turns(decided: &[Decided]) -> Vec<(String, Turn)> {
    let shown = |decided: &Decided| (decided.partition.to_string()[8..].to_owned(), decided.turn);
    decided.iter().map(shown).collect()
}

#[test]
fn one_date_at_a_time_and_the_input_of_one_date_is_looked_at() {
    for (order, first, rest) in [(Order::Oldest, 1, 3), (Order::Newest, 3, 1)] {
        let dates = (1..=3).map(|day| (date(day), Index::Silent));
        let mut tick = Tick::new(rules(Never), order, 1, dates);
        assert_eq!(tick.step(), Step::AskStore((1..=3).map(date).collect()));
        (1..=3).for_each(|day| tick.store(date(day), Store::Says(Stored::default())));
        assert_eq!(tick.step(), Step::AskInput(date(first)));
        // A gap takes no place.
        tick.input(date(first), Input::Missing);
        assert_eq!(tick.step(), Step::AskInput(date(2)));
        tick.input(date(2), Input::Present { fingerprint: NEW });
        let Step::Decided(decided) = tick.step() else { panic!() };
        let turn = |day| decided.iter().find(|found| found.partition == date(day)).unwrap().turn;
        assert_eq!((turn(first), turn(2), turn(rest)), (Turn::Never, Turn::Now, Turn::Later));
        assert!(decided.is_sorted_by_key(|decided| decided.partition), "as on the calendar");
    }
}

#[test]
fn a_date_that_somebody_works_on_takes_a_place() {
    let dates = (1..=2).map(|day| (date(day), Index::Silent));
    let mut tick = Tick::new(rules(Never), Order::Oldest, 1, dates);
    let held = Stored { concluded: None, open: open(1, None, true) };
    tick.store(date(1), Store::Says(held));
    tick.store(date(2), Store::Says(Stored::default()));
    let Step::Decided(decided) = tick.step() else { panic!() };
    let expected = [("01".to_owned(), Turn::Now), ("02".to_owned(), Turn::Later)];
    assert_eq!(turns(&decided), expected);
}

#[test]
fn the_model_is_looked_for_once_and_only_where_it_matters() {
    let dates = (1..=2).map(|day| (date(day), indexed(Some(OLD))));
    let never = Tick::new(rules(Never), Order::Oldest, 1, dates.clone());
    assert!(matches!(never.step(), Step::Decided(decided) if decided.len() == 2));
    let mut tick = Tick::new(rules(OnModelChange), Order::Oldest, 1, dates);
    assert_eq!(tick.step(), Step::AskModel);
    tick.model(OLD);
    assert!(matches!(tick.step(), Step::Decided(decided) if decided.len() == 2));
}

#[test]
fn input_is_looked_at_again_where_somebody_else_was_faster_than_the_ledger() {
    let by_newer_input = Concluded { fingerprint: NEW, ..concluded(2, Succeeded, 0).unwrap() };
    for (verdict, again) in [(concluded(1, Succeeded, 0).unwrap(), false), (by_newer_input, true)] {
        let dates = [(date(1), indexed(Some(OLD)))];
        let mut tick = Tick::new(rules(OnAnyChange), Order::Oldest, 1, dates);
        assert_eq!(tick.step(), Step::AskInput(date(1)));
        tick.input(date(1), Input::Present { fingerprint: Digest([3; 32]) });
        assert_eq!(tick.step(), Step::AskStore(vec![date(1)]));
        tick.store(date(1), Store::Says(Stored { concluded: Some(verdict), open: None }));
        if again {
            assert_eq!(tick.step(), Step::AskInput(date(1)));
            tick.input(date(1), Input::Present { fingerprint: NEW });
        }
        let Step::Decided(decided) = tick.step() else { panic!() };
        assert_eq!(decided[0].instruction.action(), if again { "skip" } else { "run" });
    }
}

prop_compose! {
    fn any_known()(
        index in prop_oneof![
            Just(Index::Silent),
            Just(Index::Unavailable),
            Just(indexed(Some(OLD))),
            Just(indexed(None)),
        ],
        state in prop_oneof![Just(Succeeded), Just(Partial), Just(Failed)],
        shape in 0..4_u8,
        retries in 0..4_u32,
        planned in prop_oneof![Just(None), Just(Some(OLD)), Just(Some(NEW))],
        is_alive: bool,
        input in prop_oneof![
            Just(Input::Missing),
            Just(Input::Present { fingerprint: OLD }),
            Just(Input::Present { fingerprint: NEW }),
            Just(Input::Unreadable("bad".to_owned())),
        ],
    ) -> (Index, Store, Input) {
        let stored = Stored {
            concluded: if shape & 1 == 1 { concluded(1, state, retries) } else { None },
            open: if shape & 2 == 2 { open(2, planned, is_alive) } else { None },
        };
        let store = if shape == 3 && retries == 3 {
            Store::Unavailable("away".to_owned())
        } else {
            Store::Says(stored)
        };
        (index, store, input)
    }
}

proptest! {
    /// Whatever is found, a tick ends, asks nothing twice, does not exceed its places, and starts
    /// nothing that the store did not allow.
    #[test]
    fn every_tick_ends_and_keeps_its_bounds(
        known in proptest::collection::vec(any_known(), 1..12),
        reprocess in prop_oneof![Just(Never), Just(OnModelChange), Just(OnAnyChange)],
        force in proptest::bool::weighted(0.1),
        newest: bool,
        places in 0..4_usize,
    ) {
        let facts = |partition: Partition| {
            let Partition::Date(date) = partition else { panic!() };
            known[date.day() as usize - 1].clone()
        };
        let dates = (1..=known.len() as u32).map(|day| (date(day), facts(date(day)).0));
        let order = if newest { Order::Newest } else { Order::Oldest };
        let mut tick = Tick::new(Rules { reprocess, force }, order, places, dates);
        let mut asked = std::collections::BTreeSet::new();
        let decided = loop {
            match tick.step() {
                Step::AskStore(dates) => {
                    for date in dates {
                        prop_assert!(asked.insert((0, date)));
                        tick.store(date, facts(date).1);
                    }
                }
                Step::AskModel => {
                    prop_assert!(asked.insert((1, date(1))));
                    tick.model(NEW);
                }
                Step::AskInput(date) => {
                    // Once more where the store knows of another verdict than the ledger.
                    prop_assert!(asked.insert((2, date)) || asked.insert((3, date)));
                    tick.input(date, facts(date).2);
                }
                Step::Decided(decided) => break decided,
            }
        };
        prop_assert_eq!(decided.len(), known.len());
        let now = decided.iter().filter(|decided| decided.turn == Turn::Now);
        prop_assert!(now.clone().count() <= places);
        for decided in now {
            let (_, store, input) = facts(decided.partition);
            let Store::Says(stored) = store else {
                return Err(TestCaseError::fail("work without a word of the store"));
            };
            if let Some(Work::Start { generation, .. }) = decided.instruction.work() {
                let is_present = matches!(input, Input::Present { .. });
                prop_assert!(is_present, "a run without input");
                prop_assert!(Some(generation) > stored.newest());
                let succeeded = stored.concluded.is_some_and(|done| done.state == Succeeded);
                let asked = force || reprocess != Never || stored.open.is_some();
                prop_assert!(!succeeded || asked, "I7");
            }
        }
    }
}

use jiff::{SignedDuration, Timestamp};
use nightshift_core::conclusion::FinalState;
use nightshift_core::ids::{Digest, Generation};
use proptest::prelude::*;

use super::*;

fn root(number: u8) -> RootId {
    format!("01ARZ3NDEKTSV4RRFFQ69G5FA{number}").parse().unwrap()
}

fn run(day: u32, generation: u32) -> RunId {
    format!("numbers-2013-01-{day:02}-g{generation}").parse().unwrap()
}

fn entry(of: u8, day: u32, generation: u32) -> DateEntry {
    DateEntry {
        root: root(of),
        run: run(day, generation),
        generation: Generation::new(generation).unwrap(),
        withheld: false,
        state: FinalState::Succeeded,
        fingerprint: Digest([0; 32]),
        model: None,
        rows: 1,
        finished_at: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

#[test]
fn what_is_approved_is_not_withheld_again() {
    let withheld = DateEntry { withheld: true, ..entry(1, 1, 1) };
    let approved = withheld.clone().published();
    for (first, second) in [(&withheld, &approved), (&approved, &withheld)] {
        let mut changes = Changes::default();
        changes.conclude(first.clone());
        changes.conclude(second.clone());
        assert!(changes.dates.values().eq([&approved]), "{first:?}, then {second:?}");
    }
    let date = approved.partition();
    let held = |entry: &DateEntry| BTreeMap::from([(date, entry.clone())]);
    let effective = |told: &DateEntry, has: &DateEntry| {
        let changes = Changes { dates: held(told), ..Changes::default() };
        let (dates, gaps, runs) = (held(has), BTreeMap::new(), BTreeSet::new());
        changes.effective(&root(1), Held { dates: &dates, gaps: &gaps, runs: &runs }).dates
    };
    assert_eq!(effective(&approved, &withheld), held(&approved));
    assert!(effective(&withheld, &approved).is_empty(), "it came late");
    // The next generation is judged anew.
    let next = DateEntry { withheld: true, ..entry(1, 1, 2) };
    assert_eq!(effective(&next, &approved), held(&next));
}

fn shards() -> impl Strategy<Value = BTreeMap<RunId, Vec<ShardIndex>>> {
    let run = (1..6_u32, 1..4_u32).prop_map(|(day, generation)| run(day, generation));
    let shards = prop::collection::btree_set(0..500_u32, 1..60);
    let shards = shards.prop_map(|shards| shards.into_iter().map(ShardIndex).collect());
    prop::collection::btree_map(run, shards, 0..5)
}

fn dates() -> impl Strategy<Value = BTreeMap<Partition, DateEntry>> {
    let entry = (0..2_u8, 1..6_u32, 1..4_u32)
        .prop_map(|(of, day, generation)| entry(of, day, generation))
        .prop_map(|entry| (entry.partition(), entry));
    prop::collection::vec(entry, 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn gap(of: u8, second: i64) -> Gap {
    // Finals of these tests are of the first second of that year.
    let new_year: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    Gap::first(&root(of), new_year + SignedDuration::from_secs(second))
}

fn gaps() -> impl Strategy<Value = BTreeMap<Partition, Gap>> {
    let one =
        (1..6_u32, -2..3_i64).prop_map(|(day, second)| (run(day, 1).partition, gap(0, second)));
    prop::collection::vec(one, 0..6).prop_map(|gaps| gaps.into_iter().collect())
}

fn changes() -> impl Strategy<Value = Changes> {
    let closed = (1..6_u32, 1..4_u32).prop_map(|(day, generation)| run(day, generation));
    let closed = prop::collection::btree_set(closed, 0..3);
    (dates(), shards(), dates(), shards(), closed, gaps()).prop_map(
        |(dates, done, false_dates, false_done, closed, gaps)| Changes {
            dates: dates.into_iter().filter(|(_, entry)| entry.root == root(0)).collect(),
            done,
            false_dates,
            false_done,
            closed,
            progress: BTreeMap::new(),
            gaps,
        },
    )
}

/// A ledger as the simplest thing that can hold one.
#[derive(Debug, Clone, Default, PartialEq)]
struct Plain {
    dates: BTreeMap<Partition, DateEntry>,
    runs: BTreeMap<RunId, BTreeSet<ShardIndex>>,
    gaps: BTreeMap<Partition, Gap>,
}

impl Plain {
    fn apply(&mut self, changes: Changes) {
        let runs = self.runs.keys().cloned().collect();
        let held = Held { dates: &self.dates, gaps: &self.gaps, runs: &runs };
        let changes = changes.effective(&root(0), held);
        self.gaps.retain(|date, _| !changes.dates.contains_key(date));
        self.gaps.extend(changes.gaps);
        changes.false_dates.keys().for_each(|date| drop(self.dates.remove(date)));
        self.dates.extend(changes.dates);
        self.runs.retain(|run, _| !changes.closed.contains(run));
        for (run, shards) in changes.false_done {
            let done = self.runs.entry(run).or_default();
            done.retain(|shard| !shards.contains(shard));
        }
        for (run, shards) in changes.done {
            self.runs.entry(run).or_default().extend(shards);
        }
        self.runs.retain(|_, done| !done.is_empty());
    }

    fn of(dates: BTreeMap<Partition, DateEntry>, done: BTreeMap<RunId, Vec<ShardIndex>>) -> Self {
        let runs = done.into_iter().map(|(run, done)| (run, done.into_iter().collect()));
        Self { dates, runs: runs.collect(), gaps: BTreeMap::new() }
    }
}

proptest! {
    #[test]
    fn pieces_are_small_and_together_the_whole(
        changes in changes(),
        shards_max in 1..50_usize,
        dates_max in 1..4_usize,
    ) {
        let mut whole = Changes::default();
        for piece in changes.clone().pieces(shards_max, dates_max) {
            let false_shards: usize = piece.false_done.values().map(Vec::len).sum();
            prop_assert!(!piece.is_empty());
            prop_assert!(piece.shards() + false_shards <= shards_max);
            prop_assert!(piece.dates.len() <= dates_max || !piece.false_dates.is_empty());
            whole.dates.extend(piece.dates);
            whole.false_dates.extend(piece.false_dates);
            whole.closed.extend(piece.closed);
            prop_assert!(piece.gaps.len() <= dates_max);
            whole.gaps.extend(piece.gaps);
            for (run, shards) in piece.done {
                whole.done.entry(run).or_default().extend(shards);
            }
            for (run, shards) in piece.false_done {
                whole.false_done.entry(run).or_default().extend(shards);
            }
        }
        prop_assert_eq!(whole, changes);
    }

    /// A write whose answer was lost may be carried out twice.
    #[test]
    fn twice_is_once(dates in dates(), done in shards(), changes in changes()) {
        // What is put right at once would be removed by the second time, were it the same.
        let mut changes = changes;
        changes.false_dates.retain(|date, entry| changes.dates.get(date) != Some(entry));
        changes.false_done.retain(|run, _| !changes.done.contains_key(run));
        changes.closed.retain(|run| !changes.done.contains_key(run));
        let mut once = Plain::of(dates, done);
        once.apply(changes.clone());
        let mut twice = once.clone();
        twice.apply(changes);
        prop_assert_eq!(twice, once);
    }

    /// A date that has succeeded has no gap, whoever is late.
    #[test]
    fn done_dates_have_no_gap(
        dates in dates(),
        first in changes(),
        second in changes(),
    ) {
        let mut ledger = Plain::of(dates, BTreeMap::new());
        for changes in [first, second] {
            ledger.apply(changes);
            for (date, entry) in ledger.dates.iter().filter(|(_, entry)| entry.root == root(0)) {
                prop_assert!(!ledger.gaps.contains_key(date), "{}: {:?}", date, entry.state);
            }
        }
    }

    /// No shard is kept for a run that is concluded, and no date of this root goes back.
    #[test]
    fn conclusions_hold(dates in dates(), done in shards(), changes in changes()) {
        let before = dates.clone();
        let mut ledger = Plain::of(dates, BTreeMap::new());
        ledger.apply(Changes { done, ..Changes::default() });
        let removed = changes.false_dates.clone();
        ledger.apply(changes);
        for run in ledger.runs.keys() {
            let entry = ledger.dates.get(&run.partition);
            prop_assert!(!entry.is_some_and(|entry| entry.concludes(&root(0), run)), "{}", run);
        }
        for (date, entry) in before.iter().filter(|(_, entry)| entry.root == root(0)) {
            if removed.get(date) != Some(entry) {
                prop_assert!(ledger.dates.get(date).unwrap().generation >= entry.generation);
            }
        }
    }
}

#[test]
fn the_later_conclusion_of_a_date_stays() {
    let mut changes = Changes::default();
    for generation in [2, 3, 1] {
        changes.conclude(entry(0, 1, generation));
    }
    assert_eq!(changes.dates.into_values().collect::<Vec<_>>(), [entry(0, 1, 3)]);
}

#[test]
fn a_gap_keeps_its_first_look_and_ends_with_a_run() {
    let date = run(1, 1).partition;
    let mut changes = Changes::default();
    for second in [20, 10, 30] {
        changes.miss(date, gap(0, second));
    }
    let widest = Gap { since: gap(0, 10).since, ..gap(0, 30) };
    assert_eq!(changes.gaps[&date], widest);
    // What the ledger has counts, unless it is of another output.
    assert_eq!(gap(0, 40).after(Some(&widest)).since, widest.since);
    assert_eq!(gap(0, 40).after(Some(&gap(1, 10))), gap(0, 40));
    let ended = |state| DateEntry { state, ..entry(0, 1, 1) };
    for (state, second, is_closed) in [
        (FinalState::Succeeded, -1, true),
        (FinalState::Succeeded, 1, true),
        (FinalState::Partial, -1, true),
        (FinalState::Partial, 0, true),
        (FinalState::Failed, 1, false),
    ] {
        let found = gap(0, second).is_closed_by(&ended(state));
        assert_eq!(found, is_closed, "{state:?} {second}");
        assert!(!gap(1, second).is_closed_by(&ended(state)), "another output's");
    }
}

//! What every ledger promises, asked of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightshift_core::conclusion::FinalState;
use nightshift_core::ids::{RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;
use nightshift_ledger::{
    Changes, DateEntry, Gap, Ledger, LedgerError, Lost, MemoryLedger, Progress, Stamp, Writer,
};
use nightshift_tests::redis::RedisServer;

use crate::stage::{generation, name, redis_at, run, verdict};

fn root() -> RootId {
    ulid::Ulid::generate().to_string().parse().unwrap()
}

/// No shards.
const NONE: [u32; 0] = [];

/// Somebody who writes, and counts.
struct Pen {
    ledger: Arc<dyn Ledger>,
    name: SpecName,
    root: RootId,
    writer: Writer,
    sequence: u64,
}

impl Pen {
    fn new(ledger: &Arc<dyn Ledger>, root: &RootId) -> Self {
        let (ledger, root) = (Arc::clone(ledger), root.clone());
        Self { ledger, name: name(), root, writer: Writer::random(), sequence: 0 }
    }

    /// One that has rebuilt an empty ledger.
    async fn owner(ledger: &Arc<dyn Ledger>, root: &RootId) -> Self {
        let mut pen = Self::new(ledger, root);
        pen.begin().await;
        pen.finish().await.unwrap();
        pen
    }

    fn stamp(&mut self, is_rebuilding: bool) -> Stamp {
        let expected = (!is_rebuilding).then_some(self.sequence);
        self.sequence += 1;
        let (root, writer) = (self.root.clone(), self.writer.clone());
        Stamp { root, writer, expected, sequence: self.sequence }
    }

    async fn begin(&mut self) {
        let stamp = self.stamp(true);
        self.ledger.begin(&self.name, &stamp).await.unwrap();
    }

    async fn finish(&mut self) -> Result<(), LedgerError> {
        let stamp = self.stamp(true);
        self.ledger.finish(&self.name, &stamp).await
    }

    async fn rebuild(&mut self, changes: Changes) -> Result<(), LedgerError> {
        let stamp = self.stamp(true);
        self.ledger.apply(&self.name, &stamp, &changes).await
    }

    async fn write(&mut self, changes: Changes) -> Result<(), LedgerError> {
        let stamp = self.stamp(false);
        self.ledger.apply(&self.name, &stamp, &changes).await
    }

    fn entry(&self, run: &RunId) -> DateEntry {
        DateEntry::new(&self.root, &verdict(run))
    }

    fn concluded(&self, run: &RunId) -> Changes {
        let mut changes = Changes::default();
        changes.conclude(self.entry(run));
        changes
    }

    async fn date(&self, run: &RunId) -> Option<DateEntry> {
        match self.ledger.dates(&self.name, &self.root, &[run.partition]).await {
            Ok(mut entries) => entries.remove(&run.partition),
            Err(LedgerError::Lost(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn done(&self, run: &RunId) -> Vec<u32> {
        self.ledger.done(run).await.unwrap().into_iter().map(|shard| shard.0).collect()
    }
}

fn done(run: &RunId, shards: impl IntoIterator<Item = u32>) -> Changes {
    let shards = shards.into_iter().map(ShardIndex).collect();
    Changes { done: BTreeMap::from([(run.clone(), shards)]), ..Changes::default() }
}

fn false_done(run: &RunId, shards: impl IntoIterator<Item = u32>) -> Changes {
    Changes { false_done: done(run, shards).done, ..Changes::default() }
}

async fn an_empty_ledger_is_nobodys(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::new(&ledger, &root());
    let look = ledger.look(&name(), &pen.writer).await.unwrap();
    assert_eq!(look, Default::default());
    for refused in
        [pen.write(done(&run(1, 1), [1])).await, pen.rebuild(done(&run(1, 1), [1])).await]
    {
        assert_eq!(refused, Err(LedgerError::Lost(Lost::Wiped)));
    }
    assert_eq!(pen.finish().await, Err(LedgerError::Lost(Lost::Wiped)));
    assert_eq!(pen.done(&run(1, 1)).await, NONE);
    assert_eq!(pen.date(&run(1, 1)).await, None);
    assert_eq!(ledger.entries(&name()).await.unwrap(), BTreeMap::new());
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::new());
}

async fn a_rebuild_is_believed_when_it_has_ended(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::new(&ledger, &root());
    pen.begin().await;
    pen.rebuild(pen.concluded(&run(1, 2))).await.unwrap();
    pen.rebuild(done(&run(2, 1), [3, 1])).await.unwrap();
    assert_eq!(pen.date(&run(1, 2)).await, None, "the rebuild has not ended");
    let look = ledger.look(&name(), &pen.writer).await.unwrap();
    assert_eq!((look.root, look.rebuilding), (None, Some(pen.root.clone())));
    pen.finish().await.unwrap();
    let look = ledger.look(&name(), &pen.writer).await.unwrap();
    assert!(look.is_of(&pen.root) && look.rebuilding.is_none());
    assert_eq!(look.sequence, Some(pen.sequence));
    assert_eq!(pen.date(&run(1, 2)).await, Some(pen.entry(&run(1, 2))));
    assert_eq!(pen.date(&run(3, 1)).await, None);
    assert_eq!(pen.done(&run(2, 1)).await, [1, 3]);
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::from([run(2, 1)]));
    // To rebuild what is one's own anyway hides nothing.
    pen.begin().await;
    assert!(pen.date(&run(1, 2)).await.is_some());
}

async fn a_writer_that_was_forgotten_writes_nothing(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    pen.write(done(&run(1, 1), [1])).await.unwrap();
    pen.write(done(&run(1, 1), [1, 2])).await.unwrap();
    let left = pen.sequence;
    pen.sequence += 5;
    let refused = pen.write(done(&run(1, 1), [3])).await;
    let lost = Lost::Stale { found: Some(left), expected: Some(left + 5) };
    assert_eq!(refused, Err(LedgerError::Lost(lost)));
    assert_eq!(pen.done(&run(1, 1)).await, [1, 2]);
    let mut stranger = Pen::new(&ledger, &pen.root);
    let refused = stranger.write(done(&run(1, 1), [3])).await;
    assert_eq!(refused, Err(LedgerError::Lost(Lost::Wiped)), "it never wrote here");
    // A rebuild makes up for it.
    pen.begin().await;
    pen.write(done(&run(1, 1), [3])).await.unwrap();
    assert_eq!(pen.done(&run(1, 1)).await, [1, 2, 3]);
}

async fn another_roots_facts_are_never_taken_for_ones_own(ledger: Arc<dyn Ledger>) {
    let mut ours = Pen::owner(&ledger, &root()).await;
    let mut theirs = Pen::new(&ledger, &root());
    ours.write(ours.concluded(&run(1, 1))).await.unwrap();
    assert_eq!(theirs.date(&run(1, 1)).await, None);
    let foreign = |found: &Pen, wanted: &Pen| {
        Err(LedgerError::Lost(Lost::Foreign {
            found: found.root.clone(),
            wanted: wanted.root.clone(),
        }))
    };
    assert_eq!(theirs.write(done(&run(2, 1), [1])).await, foreign(&ours, &theirs));
    assert_eq!(theirs.rebuild(done(&run(2, 1), [1])).await, foreign(&ours, &theirs));
    theirs.begin().await;
    assert_eq!(ours.date(&run(1, 1)).await, None, "the ledger is being rebuilt");
    assert_eq!(ours.write(done(&run(2, 1), [2])).await, foreign(&theirs, &ours));
    assert_eq!(ours.finish().await, foreign(&theirs, &ours));
    theirs.rebuild(done(&run(2, 1), [7])).await.unwrap();
    theirs.finish().await.unwrap();
    // A rebuild that forgot to remove our entry: the entry says itself whose it is.
    assert_eq!(theirs.date(&run(1, 1)).await, None);
    assert_eq!(theirs.done(&run(2, 1)).await, [7]);
}

async fn a_conclusion_forgets_shards_and_never_goes_back(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    let (first, second, third) = (run(1, 1), run(1, 2), run(1, 3));
    for open in [&first, &second, &third, &run(2, 1)] {
        pen.write(done(open, [1, 2])).await.unwrap();
    }
    let mut changes = done(&second, [3]);
    changes.conclude(pen.entry(&second));
    pen.write(changes).await.unwrap();
    assert_eq!(pen.date(&first).await, Some(pen.entry(&second)));
    let open = BTreeSet::from([third.clone(), run(2, 1)]);
    assert_eq!(ledger.runs(&name()).await.unwrap(), open);
    for (run, shards) in [(&first, vec![]), (&second, vec![]), (&third, vec![1, 2])] {
        assert_eq!(pen.done(run).await, shards, "{run}");
    }
    // Late reports change nothing.
    pen.write(done(&second, [4])).await.unwrap();
    pen.write(pen.concluded(&first)).await.unwrap();
    assert_eq!(pen.date(&first).await, Some(pen.entry(&second)));
    assert_eq!(ledger.runs(&name()).await.unwrap(), open);
    // The same again is harmless.
    pen.write(pen.concluded(&second)).await.unwrap();
    pen.write(pen.concluded(&generation(&first, 9))).await.unwrap();
    assert_eq!(pen.date(&first).await.unwrap().generation.get(), 9);
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::from([run(2, 1)]));
}

async fn what_is_not_true_is_removed(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    let (real, lie) = (run(1, 1), run(1, 5));
    pen.write(pen.concluded(&lie)).await.unwrap();
    pen.write(done(&run(2, 1), [1, 2, 3])).await.unwrap();
    pen.write(false_done(&run(2, 1), [2, 9])).await.unwrap();
    assert_eq!(pen.done(&run(2, 1)).await, [1, 3]);
    let mut changes = pen.concluded(&real);
    changes.false_dates.insert(lie.partition, pen.entry(&lie));
    pen.rebuild(changes).await.unwrap();
    assert_eq!(pen.date(&real).await, Some(pen.entry(&real)));
    // What was put right meanwhile stays.
    let mut changes = Changes::default();
    changes.false_dates.insert(lie.partition, pen.entry(&lie));
    pen.begin().await;
    pen.rebuild(changes).await.unwrap();
    assert_eq!(pen.date(&real).await, Some(pen.entry(&real)));
    let mut changes = Changes::default();
    changes.false_dates.insert(real.partition, pen.entry(&real));
    changes.closed.insert(run(2, 1));
    pen.rebuild(changes).await.unwrap();
    assert_eq!(pen.date(&real).await, None);
    assert_eq!(pen.done(&run(2, 1)).await, NONE);
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::new());
}

async fn progress_is_a_hint_that_ends_with_the_run(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    let hint = |decided| {
        let at = "2026-01-01T00:00:00.5Z".parse().unwrap();
        Progress { shards: 200, decided, rows: 1_000_000, rows_done: 5000 * decided, at }
    };
    let says = |run: &RunId, hint| Changes {
        progress: BTreeMap::from([(run.clone(), hint)]),
        ..Changes::default()
    };
    assert_eq!(ledger.progress(&run(1, 1)).await, Ok(None));
    for decided in [1, 7] {
        pen.write(says(&run(1, 1), hint(decided))).await.unwrap();
        assert_eq!(ledger.progress(&run(1, 1)).await, Ok(Some(hint(decided))));
    }
    pen.write(pen.concluded(&run(1, 1))).await.unwrap();
    pen.write(says(&run(1, 1), hint(9))).await.unwrap();
    assert_eq!(ledger.progress(&run(1, 1)).await, Ok(None));
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::new());
}

async fn a_gap_is_a_hint_that_ends_with_the_run(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    let (first, second) = (run(1, 1), run(2, 1));
    let dates = [first.partition, second.partition];
    let at = |minute| format!("2026-01-01T00:{minute:02}:00Z").parse().unwrap();
    let missed = |pen: &Pen, minute| {
        let mut changes = Changes::default();
        dates.iter().for_each(|date| changes.miss(*date, Gap::first(&pen.root, at(minute))));
        changes
    };
    let gaps = async |pen: &Pen| ledger.gaps(&name(), &pen.root, &dates).await.unwrap();
    assert_eq!(gaps(&pen).await, BTreeMap::new());
    for minute in [5, 7] {
        let changes = missed(&pen, minute);
        pen.write(changes).await.unwrap();
        let found = gaps(&pen).await;
        assert_eq!((found[&dates[0]].since, found[&dates[0]].looked_at), (at(5), at(minute)));
        assert_eq!(found.len(), 2);
        assert_eq!(pen.date(&first).await, None, "a gap is no entry");
    }
    // Its input has come, and it was run: the mark goes with the same write.
    let mut done = pen.entry(&first);
    (done.state, done.finished_at) = (FinalState::Succeeded, at(6));
    let mut changes = Changes::default();
    changes.conclude(done.clone());
    pen.write(changes).await.unwrap();
    assert_eq!(gaps(&pen).await.into_keys().collect::<Vec<_>>(), [dates[1]]);
    // Somebody who looked before that is late, by any clock.
    let late = missed(&pen, 9);
    pen.write(late).await.unwrap();
    assert_eq!(pen.date(&first).await, Some(done));
    assert_eq!(gaps(&pen).await.into_keys().collect::<Vec<_>>(), [dates[1]]);
    // Nobody reads another output's, and a ledger that changes hands has none.
    let other = root();
    let refused = ledger.gaps(&name(), &other, &dates).await;
    assert!(matches!(refused, Err(LedgerError::Lost(Lost::Foreign { .. }))), "{refused:?}");
    let other = Pen::owner(&ledger, &other).await;
    assert_eq!(gaps(&other).await, BTreeMap::new());
    let again = Pen::owner(&ledger, &pen.root).await;
    assert_eq!(gaps(&again).await, BTreeMap::new());
}

async fn two_processes_write_side_by_side(ledger: Arc<dyn Ledger>) {
    let mut one = Pen::owner(&ledger, &root()).await;
    let mut two = Pen::owner(&ledger, &one.root).await;
    for shard in 0..20 {
        one.write(done(&run(1, 1), [shard])).await.unwrap();
        two.write(done(&run(1, 1), [100 + shard])).await.unwrap();
    }
    assert_eq!(one.done(&run(1, 1)).await.len(), 40);
    // And at the same moment.
    let writes = async |pen: &mut Pen, first: u32| {
        for shard in first..first + 50 {
            let mut changes = done(&run(2, 1), [shard]);
            changes.conclude(pen.entry(&run(3 + first % 7, 1)));
            pen.write(changes).await.unwrap();
        }
    };
    tokio::join!(writes(&mut one, 0), writes(&mut two, 1000));
    assert_eq!(one.done(&run(2, 1)).await.len(), 100);
}

async fn many_processes_that_came_and_went_are_forgotten(ledger: Arc<dyn Ledger>) {
    let root = root();
    let mut first = Pen::owner(&ledger, &root).await;
    for _ in 0..30 {
        Pen::owner(&ledger, &root).await;
    }
    first.begin().await;
    first.write(done(&run(1, 1), [1])).await.unwrap();
    assert_eq!(first.done(&run(1, 1)).await, [1]);
}

async fn clearing_leaves_nothing(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    pen.write(pen.concluded(&run(1, 1))).await.unwrap();
    pen.write(done(&run(2, 1), [1])).await.unwrap();
    let gap = Gap::first(&pen.root, "2026-01-01T00:00:00Z".parse().unwrap());
    let mut missed = Changes::default();
    missed.miss(run(3, 1).partition, gap);
    pen.write(missed).await.unwrap();
    let stamp = pen.stamp(true);
    ledger.clear(&name(), &stamp).await.unwrap();
    assert_eq!(ledger.entries(&name()).await.unwrap(), BTreeMap::new());
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::new());
    assert_eq!(pen.done(&run(2, 1)).await, NONE);
    assert!(!ledger.look(&name(), &pen.writer).await.unwrap().is_of(&pen.root));
    // The rebuild that clears goes on.
    pen.rebuild(done(&run(2, 1), [1])).await.unwrap();
    pen.finish().await.unwrap();
    let gaps = ledger.gaps(&name(), &pen.root, &[run(3, 1).partition]).await;
    assert_eq!(gaps, Ok(BTreeMap::new()));
}

async fn names_are_apart(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    let mut other = Pen::new(&ledger, &root());
    other.name = "numbers-2".parse().unwrap();
    other.begin().await;
    other.finish().await.unwrap();
    let run_of_other: RunId = "numbers-2-2013-01-01-g1".parse().unwrap();
    pen.write(done(&run(1, 1), [1])).await.unwrap();
    other.write(done(&run_of_other, [2])).await.unwrap();
    assert_eq!((pen.done(&run(1, 1)).await, other.done(&run_of_other).await), (vec![1], vec![2]));
    assert_eq!(ledger.runs(&name()).await.unwrap(), BTreeSet::from([run(1, 1)]));
}

async fn large_runs_come_back_whole(ledger: Arc<dyn Ledger>) {
    let mut pen = Pen::owner(&ledger, &root()).await;
    for piece in done(&run(1, 1), (0..50_000).map(|n| n * 17)).pieces(4096, 10) {
        pen.write(piece).await.unwrap();
    }
    let all: Vec<u32> = (0..50_000).map(|n| n * 17).collect();
    assert_eq!(pen.done(&run(1, 1)).await, all);
}

macro_rules! on_both {
    ($($law:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $law() {
                    super::$law(std::sync::Arc::new(super::MemoryLedger::new())).await;
                }
            )*
        }
        mod redis {
            $(
                #[tokio::test]
                async fn $law() {
                    let server = super::RedisServer::start();
                    super::$law(super::redis_at(&server.url())).await;
                }
            )*
        }
    };
}

on_both! {
    an_empty_ledger_is_nobodys,
    a_rebuild_is_believed_when_it_has_ended,
    a_writer_that_was_forgotten_writes_nothing,
    another_roots_facts_are_never_taken_for_ones_own,
    a_conclusion_forgets_shards_and_never_goes_back,
    what_is_not_true_is_removed,
    progress_is_a_hint_that_ends_with_the_run,
    a_gap_is_a_hint_that_ends_with_the_run,
    two_processes_write_side_by_side,
    many_processes_that_came_and_went_are_forgotten,
    clearing_leaves_nothing,
    names_are_apart,
    large_runs_come_back_whole,
}

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::conclusion::Tally;
use crate::ids::ShardIndex;
use crate::plan::{Inheritance, Plan};
use crate::rehearsal::{plan, record};

const SHARDS: u32 = 4;
const ROWS: u64 = 22;

/// One run as the store has it.
#[derive(Debug, Clone)]
struct Stored {
    plan: Plan,
    records: BTreeMap<ShardIndex, Record>,
    verdict: Option<Final>,
}

/// The store, and one process that counts.
#[derive(Debug, Default)]
struct World {
    runs: Vec<Stored>,
    account: Account,
    /// What the survey of the process has still to look at; none when it is over.
    survey: Option<VecDeque<usize>>,
    seen: Vec<(String, u64)>,
}

/// All that must not go down.
fn series(sums: &Sums, runs: &BTreeMap<Outcome, u64>) -> Vec<(String, u64)> {
    let mut all = vec![
        ("scored".to_owned(), sums.scored),
        ("rejected".to_owned(), sums.rejected),
        ("quarantined".to_owned(), sums.quarantined),
    ];
    for reason in REJECT_REASONS.iter().chain([&OTHER_REASON]) {
        let count = sums.by_reason.get(reason).copied().unwrap_or_default();
        all.push(((*reason).to_owned(), count));
    }
    for outcome in Outcome::ALL {
        let count = runs.get(&outcome).copied().unwrap_or_default();
        all.push((outcome.as_str().to_owned(), count));
    }
    all
}

impl World {
    /// Counted from the store, in the plainest way.
    fn truth(&self) -> Vec<(String, u64)> {
        let (mut sums, mut runs) = (Sums::default(), BTreeMap::new());
        for run in &self.runs {
            for record in run.records.values().filter(|record| record.inherited_from.is_none()) {
                let rows = run.plan.shard_rows(record.shard).unwrap();
                match &record.verdict {
                    Verdict::Committed(committed) => {
                        sums.scored += committed.rows_out;
                        sums.rejected += committed.rows_rejected;
                        for (reason, count) in &committed.rejects_by_reason {
                            assert_eq!(reason, "bad_value");
                            *sums.by_reason.entry("bad_value").or_default() += count;
                        }
                    }
                    Verdict::Quarantined(_) => sums.quarantined += rows,
                }
            }
            if let Some(verdict) = &run.verdict {
                *runs.entry(Ending::from(verdict).outcome).or_default() += 1;
            }
        }
        series(&sums, &runs)
    }

    fn open(&self) -> Vec<usize> {
        (0..self.runs.len()).filter(|at| self.runs[*at].verdict.is_none()).collect()
    }

    /// A new generation of a date, which may take over what the one before has committed.
    fn begin(&mut self, date: u8, inherits: bool) {
        let partition: Partition = format!("2013-01-0{}", date % 3 + 1).parse().unwrap();
        let earlier = self.runs.iter().filter(|run| run.plan.run.partition == partition);
        let newest = earlier.max_by_key(|run| run.plan.run.generation);
        let generation = newest.map_or(Generation::FIRST, |run| run.plan.run.generation.next());
        let mut plan = plan(ROWS, SHARDS);
        plan.run = RunId { partition, generation, ..plan.run };
        let mut records = BTreeMap::new();
        if let Some(from) = newest.filter(|run| inherits && run.verdict.is_some()) {
            for (shard, record) in &from.records {
                if record.committed().is_some() {
                    let origin = record.inherited_from.clone().unwrap_or(record.run.clone());
                    let run = plan.run.clone();
                    let inherited = Record { run, inherited_from: Some(origin), ..record.clone() };
                    records.insert(*shard, inherited);
                }
            }
            let shards = records.keys().copied().collect();
            plan.inherits = Some(Inheritance { from: from.plan.run.clone(), shards });
        }
        self.runs.push(Stored { plan, records, verdict: None });
    }

    /// A shard gets its record; whoever counts may be told.
    fn decide(&mut self, run: usize, shard: u8, rejects: u8, told: bool) {
        let Stored { plan, records, .. } = &mut self.runs[run];
        let shard = ShardIndex(u32::from(shard) % SHARDS);
        if records.contains_key(&shard) {
            return;
        }
        let made = record(plan, shard.0, u64::from(rejects % 3), rejects % 5 != 4);
        if told {
            self.account.record(&made, plan.shard_rows(shard).unwrap(), Met::Now);
        }
        records.insert(shard, made);
    }

    /// The records of a run are counted from the store.
    fn count(&mut self, run: usize) {
        let Stored { plan, records, .. } = &self.runs[run];
        for record in records.values() {
            self.account.record(record, plan.shard_rows(record.shard).unwrap(), Met::Before);
        }
    }

    /// A run whose shards are all decided gets its final; whoever counts may be told.
    fn conclude(&mut self, run: usize, told: bool) {
        let Stored { plan, records, verdict } = &mut self.runs[run];
        if records.len() < SHARDS as usize || verdict.is_some() {
            return;
        }
        let mut tally = Tally::new(&*plan);
        records.iter().for_each(|(shard, record)| tally.add(*shard, record).unwrap());
        *verdict = Some(tally.finish().unwrap());
        if told {
            self.settle(run, false);
        }
    }

    /// Counts a final, as the shell does.
    fn settle(&mut self, run: usize, by_totals: bool) {
        let ending = Ending::from(self.runs[run].verdict.as_ref().unwrap());
        let from = self.runs[run].plan.inherits.as_ref().map(|inherits| inherits.from.clone());
        let before = self.runs.iter().find(|run| Some(&run.plan.run) == from.as_ref());
        let before = before.and_then(|run| run.verdict.as_ref()).map(|verdict| &verdict.totals);
        if self.account.conclude(&ending, before.filter(|_| by_totals)).is_err() {
            self.count(run);
            self.account.conclude(&ending, None).unwrap();
        }
    }

    fn restart(&mut self) {
        self.account = Account::default();
        self.survey = Some((0..self.runs.len()).collect());
    }

    /// One step of the survey: a final, or the records of a run that had none when it was listed.
    fn look(&mut self) {
        match self.survey.as_mut().map(VecDeque::pop_front) {
            Some(Some(run)) if self.runs[run].verdict.is_some() => self.settle(run, true),
            Some(Some(run)) => self.count(run),
            Some(None) => {
                self.account.surveyed();
                self.survey = None;
            }
            None => {}
        }
    }

    fn says(&self) -> Option<Vec<(String, u64)>> {
        self.account.figures().map(|figures| series(&figures.sums, &figures.runs))
    }

    /// Nothing has gone down, and nothing is more than the truth.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let Some(says) = self.says() else { return Ok(()) };
        for (((name, now), (_, before)), (_, truth)) in
            says.iter().zip(&self.seen).zip(&self.truth())
        {
            prop_assert!(now >= before, "{name} fell from {before} to {now}");
            prop_assert!(now <= truth, "{name} is {now}, the store has {truth}");
        }
        self.seen = says;
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_sums_never_fall_and_end_at_the_store(
        steps in prop::collection::vec((0_u8..12, any::<u8>(), any::<u8>(), any::<u8>()), 1..160)
    ) {
        let mut world = World::default();
        world.restart();
        for (step, a, b, c) in steps {
            let open = world.open();
            let pick = (!open.is_empty()).then(|| open[a as usize % open.len()]);
            match (step, pick) {
                (0, _) => world.begin(a, b % 3 != 0),
                (1..=4, Some(run)) => world.decide(run, b, c, true),
                (5, Some(run)) => world.decide(run, b, c, false),
                (6, Some(run)) => world.count(run),
                (7, Some(run)) => world.conclude(run, true),
                (8, Some(run)) => world.conclude(run, false),
                (9, _) if c % 4 == 0 => world.restart(),
                _ => world.look(),
            }
            world.check()?;
        }
        // A process that has seen everything without a restart says what the store says.
        while world.survey.is_some() {
            world.look();
        }
        for run in 0..world.runs.len() {
            world.count(run);
            if world.runs[run].verdict.is_some() {
                world.settle(run, true);
            }
        }
        world.check()?;
        prop_assert_eq!(world.says().unwrap(), world.truth());
        // And so does one that comes after it.
        world.restart();
        while world.survey.is_some() {
            world.look();
        }
        world.check()?;
        prop_assert_eq!(world.says().unwrap(), world.truth());
    }
}

fn ending(inherited: u64, committed: u64, rows: u64) -> Ending {
    let totals = Totals { shards: 4, committed, inherited, rows_out: rows, ..Totals::default() };
    Ending {
        partition: "2013-01-01".parse().unwrap(),
        generation: Generation::FIRST.next(),
        outcome: Outcome::Succeeded,
        planned_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        decided_at: "2026-01-01T00:00:09Z".parse().unwrap(),
        totals,
    }
}

#[test]
fn inherited_rows_follow_from_totals_only_if_every_committed_shard_was_inherited() {
    let before = ending(0, 3, 75).totals;
    let mut account = Account::default();
    account.surveyed();
    assert!(account.conclude(&ending(2, 4, 100), Some(&before)).is_err());
    assert!(account.conclude(&ending(3, 4, 100), None).is_err());
    assert_eq!(account.figures().unwrap().sums, Sums::default());
    account.conclude(&ending(3, 4, 100), Some(&before)).unwrap();
    account.conclude(&ending(3, 4, 100), Some(&before)).unwrap();
    let figures = account.figures().unwrap();
    assert_eq!((figures.sums.scored, figures.runs[&Outcome::Succeeded]), (25, 1));
    assert_eq!(figures.last_success, Some("2026-01-01T00:00:09Z".parse().unwrap()));
}

#[test]
fn a_reason_that_is_not_known_is_counted_as_other() {
    let mut totals = ending(0, 4, 90).totals;
    totals.rejects_by_reason = [("bad_value", 3), ("eaten", 2), ("lost", 5)]
        .map(|(reason, count)| (reason.to_owned(), count))
        .into();
    let sums = Sums::of_own(&totals, None).unwrap();
    assert_eq!(sums.by_reason, BTreeMap::from([("bad_value", 3), ("other", 7)]));
}

#[test]
fn seconds_fall_into_the_first_bucket_that_holds_them() {
    let mut seconds = Seconds::default();
    [0.1, 0.2, 4_000.0, f64::NAN, -1.0].into_iter().for_each(|took| seconds.observe(took));
    assert_eq!(seconds.counts(), [3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert!((seconds.sum_s() - 4_000.3).abs() < 1e-9);
}

#[test]
fn pending_dates_are_those_of_the_last_backfill_that_have_not_succeeded_since() {
    use crate::backfill::Turn;
    let date = |day: u8| -> Partition { format!("2013-01-0{day}").parse().unwrap() };
    let decided =
        |day: u8, instruction| Decided { partition: date(day), instruction, turn: Turn::Never };
    let mut account = Account::default();
    account.surveyed();
    assert_eq!(account.figures().unwrap().pending, None);
    let g1 = Generation::FIRST;
    account.decided(&[
        decided(1, Instruction::GiveUp { generation: g1, state: FinalState::Failed }),
        decided(2, Instruction::NoInput),
        decided(3, Instruction::Leave { generation: g1, holder: "h".into() }),
        decided(4, Instruction::Skip { generation: g1, write_back: false }),
        decided(5, Instruction::Held { generation: g1, rejected: true }),
    ]);
    let midnight = |text: &str| Some(text.parse().unwrap());
    let pending = Pending { dates: 2, oldest: midnight("2013-01-01T00:00:00Z") };
    assert_eq!(account.figures().unwrap().pending, Some(pending));
    account.conclude(&ending(0, 4, 100), None).unwrap();
    let pending = Pending { dates: 1, oldest: midnight("2013-01-03T00:00:00Z") };
    assert_eq!(account.figures().unwrap().pending, Some(pending));
    account.decided(&[]);
    let pending = Pending { dates: 0, oldest: None };
    assert_eq!(account.figures().unwrap().pending, Some(pending));
}

#[test]
fn an_approval_makes_a_withheld_run_a_success_and_takes_nothing_back() {
    let mut account = Account::default();
    account.surveyed();
    let withheld = Ending { outcome: Outcome::Withheld, ..ending(0, 4, 100) };
    let another = Ending { generation: Generation::FIRST, ..withheld.clone() };
    account.conclude(&withheld, None).unwrap();
    account.conclude(&another, None).unwrap();
    assert_eq!(account.figures().unwrap().last_success, None);
    account.judge(&another, Judgement::Rejected);
    assert_eq!(account.figures().unwrap().last_success, None);
    for _ in 0..2 {
        account.judge(&withheld, Judgement::Approved);
        let figures = account.figures().unwrap();
        assert_eq!(figures.last_success, Some(withheld.decided_at));
        assert_eq!(figures.runs, BTreeMap::from([(Outcome::Withheld, 2)]));
        let once = [(Judgement::Approved, 1), (Judgement::Rejected, 1)];
        assert_eq!(figures.judged, BTreeMap::from(once));
    }
}

#[test]
fn a_date_that_somebody_decided_about_is_not_pending() {
    use crate::backfill::Turn;
    for judgement in Judgement::ALL {
        let mut account = Account::default();
        account.surveyed();
        let withheld = Ending { outcome: Outcome::Withheld, ..ending(0, 4, 100) };
        let instruction = Instruction::Held { generation: withheld.generation, rejected: false };
        let partition = withheld.partition;
        account.decided(&[Decided { partition, instruction, turn: Turn::Never }]);
        account.conclude(&withheld, None).unwrap();
        let pending = |account: &Account| account.figures().unwrap().pending.unwrap().dates;
        assert_eq!(pending(&account), 1);
        account.judge(&withheld, judgement);
        assert_eq!(pending(&account), 0);
    }
}

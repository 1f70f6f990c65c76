//! Store, ledger, model and input of the simulation, and what has to be true of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nightshift_core::backfill::window::window;
use nightshift_core::backfill::{
    Concluded, Dead, Index, Indexed, Input, Open, Store, Stored, Work,
};
use nightshift_core::conclusion::FinalState;
use nightshift_core::decide::Release;
use nightshift_core::ids::{Digest, Generation, Partition};
use nightshift_core::spec::Reprocess;

use crate::{LATE_DAY, MODEL_DAY};
use nightshift_tests::random::Random;

/// Days of the window: no date leaves it before the end.
const WINDOW: u32 = 45;
/// How often one date may end badly: as often as a backfill tries again.
const FAILURES_MAX: u32 = nightshift_core::backfill::RETRIES;

/// How often what goes wrong: once in so many times, never for 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) crash_one_in: u64,
    ledger_one_in: u64,
    store_one_in: u64,
    fail_one_in: u64,
    /// Holders that are taken for dead although they live, and the other way round.
    misjudge_one_in: u64,
    /// Whether holders were ever misjudged.
    misjudges: bool,
}

/// A generation of a date in the store.
#[derive(Debug, Clone, Default)]
struct Run {
    retry: u32,
    holder: u64,
    epoch: u64,
    plan: Option<Plan>,
    recorded: Option<FinalState>,
    concluded: bool,
}

/// What a run computes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) model: u8,
    pub(crate) input: u8,
}

#[derive(Debug, Default)]
struct Ledger {
    /// Whether it is this output's; another's says that everything is done.
    is_ours: bool,
    is_away: bool,
    dates: BTreeMap<Partition, Indexed>,
}

pub(crate) struct World {
    pub(crate) reprocess: Reprocess,
    pub(crate) faults: Faults,
    now: Timestamp,
    pub(crate) model: u8,
    /// Version of the input of each date that has any.
    inputs: BTreeMap<Date, u8>,
    runs: BTreeMap<Partition, BTreeMap<u32, Run>>,
    failures: BTreeMap<Partition, u32>,
    ledger: Ledger,
    alive: BTreeSet<u64>,
    processes: u64,
    pub(crate) calls: u64,
    pub(crate) joins: u64,
    pub(crate) retries: u64,
}

impl Faults {
    pub(crate) fn some(chance: &mut Random) -> Self {
        // Half of the schedules have none, so that no call may be wasted in them.
        let misjudge_one_in = if chance.one_in(2) { 0 } else { 3 + chance.below(20) };
        Self {
            crash_one_in: 10 + chance.below(40),
            ledger_one_in: 2 + chance.below(20),
            store_one_in: 5 + chance.below(100),
            fail_one_in: 2 + chance.below(20),
            misjudge_one_in,
            misjudges: misjudge_one_in > 0,
        }
    }
}

fn digest(plan: Plan) -> Digest {
    Digest([plan.model * 16 + plan.input; 32])
}

pub(crate) fn model_digest(model: u8) -> Digest {
    Digest([100 + model; 32])
}

fn generation(n: u32) -> Generation {
    Generation::new(n).unwrap()
}

fn date_of(partition: Partition) -> Date {
    match partition {
        Partition::Date(date) => date,
        Partition::All => panic!("the simulation has dates"),
    }
}

impl World {
    pub(crate) fn new(reprocess: Reprocess, faults: Faults) -> Self {
        Self {
            reprocess,
            faults,
            now: "2026-03-01T00:00:00Z".parse().unwrap(),
            model: 1,
            inputs: BTreeMap::new(),
            runs: BTreeMap::new(),
            failures: BTreeMap::new(),
            ledger: Ledger::default(),
            alive: BTreeSet::new(),
            processes: 0,
            calls: 0,
            joins: 0,
            retries: 0,
        }
    }

    /// An hour has passed: clocks, inputs, the model, and the ledger's misfortunes.
    pub(crate) fn hour(&mut self, hour: u32, chance: &mut Random) {
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        self.now = start + SignedDuration::from_hours(hour.into());
        let day = hour / 24;
        let first = Date::constant(2026, 3, 1);
        for date in self.dates().map(date_of) {
            // Input comes some hours after its day; nothing is there before the first day.
            if date >= first && (chance.one_in(4) || self.faults.crash_one_in == 0) {
                self.inputs.entry(date).or_insert(1);
            }
        }
        if hour == MODEL_DAY * 24 {
            self.model = 2;
        }
        if day == LATE_DAY && hour.is_multiple_of(6) {
            for version in self.inputs.values_mut() {
                *version += u8::from(chance.one_in(3));
            }
        }
        self.ledger.is_away = chance.one_in(self.faults.ledger_one_in);
        if chance.one_in(self.faults.ledger_one_in) {
            self.ledger.is_ours = false;
            if chance.one_in(2) {
                self.ledger.dates.clear();
            }
        }
        if chance.one_in(self.faults.ledger_one_in) {
            // The last writes were lost.
            self.ledger.dates.pop_last();
        }
    }

    pub(crate) fn calm(&mut self) {
        self.faults = Faults { misjudges: self.faults.misjudges, ..Faults::default() };
    }

    pub(crate) fn dates(&self) -> impl Iterator<Item = Partition> + use<> {
        window(self.now, &TimeZone::UTC, WINDOW).into_iter().map(Partition::Date)
    }

    pub(crate) fn next_process(&mut self) -> u64 {
        self.processes += 1;
        self.alive.insert(self.processes);
        self.processes
    }

    pub(crate) fn gone(&mut self, process: u64) {
        self.alive.remove(&process);
    }

    /// What the ledger says, and whether it has to be made anew.
    pub(crate) fn index(&self) -> (Vec<(Partition, Index)>, bool) {
        let index = |date: Partition| match self.ledger.dates.get(&date) {
            _ if self.ledger.is_away => Index::Unavailable,
            Some(done) if self.ledger.is_ours => Index::Done(*done),
            _ => Index::Silent,
        };
        let is_lost = !self.ledger.is_ours && !self.ledger.is_away;
        (self.dates().map(|date| (date, index(date))).collect(), is_lost)
    }

    pub(crate) fn store(&self, partition: Partition, who: u64, chance: &mut Random) -> Store {
        if chance.one_in(self.faults.store_one_in) {
            return Store::Unavailable("the store fails".into());
        }
        let Some(runs) = self.runs.get(&partition) else { return Store::Says(Stored::default()) };
        let concluded = runs.iter().rev().find(|(_, run)| run.concluded).map(|(n, run)| {
            let plan = run.plan.unwrap();
            Concluded {
                generation: generation(*n),
                state: run.recorded.unwrap(),
                release: Release::Open,
                model: model_digest(plan.model),
                fingerprint: digest(plan),
                retries: run.retry,
            }
        });
        let open = runs.last_key_value().filter(|(_, run)| !run.concluded).map(|(n, run)| {
            let lives = run.holder != who && self.alive.contains(&run.holder);
            Open {
                generation: generation(*n),
                planned: run.plan.map(|plan| model_digest(plan.model)),
                epoch: run.epoch,
                holder: run.holder.to_string(),
                is_forced: false,
                is_alive: lives != chance.one_in(self.faults.misjudge_one_in),
            }
        });
        Store::Says(Stored { concluded, open })
    }

    /// What the input is for a process that has this model.
    pub(crate) fn input(&self, partition: Partition, model: u8) -> (Input, Option<Plan>) {
        match self.inputs.get(&date_of(partition)) {
            None => (Input::Missing, None),
            Some(&input) => {
                let plan = Plan { model, input };
                (Input::Present { fingerprint: digest(plan) }, Some(plan))
            }
        }
    }

    /// A claim, or the next epoch of a run: one process gets it.
    pub(crate) fn take(&mut self, partition: Partition, work: Work, who: u64) -> bool {
        let n = work.generation().get();
        match work {
            Work::Start { retry, instead_of, .. } => {
                if instead_of.is_some_and(|dead| !self.take_dead(partition, dead, who)) {
                    return false;
                }
                let runs = self.runs.entry(partition).or_default();
                if runs.contains_key(&n) {
                    return false;
                }
                self.retries += u64::from(retry > 0);
                runs.insert(n, Run { retry, holder: who, ..Run::default() });
                true
            }
            Work::Join(dead) => {
                let is_first = self.take_dead(partition, dead, who);
                self.joins += u64::from(is_first);
                is_first
            }
        }
    }

    fn take_dead(&mut self, partition: Partition, dead: Dead, who: u64) -> bool {
        let run = self.run(partition, dead.generation);
        let is_first = run.epoch == dead.epoch;
        if is_first {
            (run.epoch, run.holder) = (dead.epoch + 1, who);
        }
        is_first
    }

    /// Stores a plan, if the run has none; the stored one counts.
    pub(crate) fn plan(&mut self, partition: Partition, n: Generation, fresh: Plan) -> Plan {
        *self.run(partition, n).plan.get_or_insert(fresh)
    }

    /// Whether the run's shard waits for a model; a call for a current date is a failure.
    pub(crate) fn begin_inference(&mut self, partition: Partition, n: Generation) -> bool {
        if self.run(partition, n).recorded.is_some() {
            return false;
        }
        self.calls += 1;
        // A holder that was wrongly taken for dead may finish what somebody else has redone, and
        // one whose model or input was replaced since it planned does what it planned.
        let plan = self.run(partition, n).plan.unwrap();
        if !self.faults.misjudges && self.is_fresh(partition, plan) {
            assert!(!self.is_current(partition), "the model is called for {partition}, {n}");
        }
        true
    }

    /// The record of the run's shard: written once.
    pub(crate) fn record(&mut self, partition: Partition, n: Generation, chance: &mut Random) {
        let failures = self.failures.entry(partition).or_default();
        let fails = *failures < FAILURES_MAX && chance.one_in(self.faults.fail_one_in);
        let state = if fails { FinalState::Failed } else { FinalState::Succeeded };
        let run = self.runs.get_mut(&partition).unwrap().get_mut(&n.get()).unwrap();
        if run.recorded.is_none() {
            *failures += u32::from(fails);
            run.recorded = Some(state);
        }
    }

    pub(crate) fn conclude(&mut self, partition: Partition, n: Generation) {
        let run = self.run(partition, n);
        assert!(run.recorded.is_some(), "a final without a record");
        run.concluded = true;
    }

    /// Tells the ledger what the store says about dates; all of it, if it is made anew.
    pub(crate) fn tell(&mut self, dates: &[Partition], anew: bool) {
        if self.ledger.is_away || !(anew || self.ledger.is_ours) {
            return;
        }
        if anew && !self.ledger.is_ours {
            self.ledger.dates.clear();
            self.ledger.is_ours = true;
            let all: Vec<Partition> = self.runs.keys().copied().collect();
            return all.into_iter().for_each(|date| self.tell_date(date));
        }
        dates.iter().for_each(|date| self.tell_date(*date));
    }

    fn tell_date(&mut self, partition: Partition) {
        let Some(runs) = self.runs.get(&partition) else { return };
        let Some((n, run)) = runs.iter().rev().find(|(_, run)| run.concluded) else { return };
        let plan = run.plan.unwrap();
        let generation = generation(*n);
        if run.recorded == Some(FinalState::Succeeded) {
            let model = Some(model_digest(plan.model));
            let entry = Indexed { generation, model, fingerprint: digest(plan) };
            self.ledger.dates.insert(partition, entry);
        } else {
            self.ledger.dates.remove(&partition);
        }
    }

    fn run(&mut self, partition: Partition, n: Generation) -> &mut Run {
        self.runs.get_mut(&partition).unwrap().get_mut(&n.get()).unwrap()
    }

    /// Whether a plan made what would be made now, as far as the setting cares.
    fn is_fresh(&self, partition: Partition, plan: Plan) -> bool {
        match self.reprocess {
            Reprocess::Never => true,
            Reprocess::OnModelChange => plan.model == self.model,
            Reprocess::OnAnyChange => {
                let input = self.inputs[&date_of(partition)];
                plan == Plan { model: self.model, input }
            }
        }
    }

    fn current(&self, partition: Partition) -> usize {
        let Some(runs) = self.runs.get(&partition) else { return 0 };
        let succeeded = |run: &&Run| run.concluded && run.recorded == Some(FinalState::Succeeded);
        let runs = runs.values().filter(succeeded);
        runs.filter(|run| self.is_fresh(partition, run.plan.unwrap())).count()
    }

    fn is_current(&self, partition: Partition) -> bool {
        self.current(partition) > 0
    }

    /// I4: what the ledger calls done has such a final.
    pub(crate) fn check_ledger(&self) {
        if !self.ledger.is_ours {
            return;
        }
        for (date, entry) in &self.ledger.dates {
            let run = &self.runs[date][&entry.generation.get()];
            let succeeded = run.recorded == Some(FinalState::Succeeded);
            assert!(run.concluded && succeeded, "the ledger is ahead of the store: {date}");
        }
    }

    /// What has to be true in the end.
    pub(crate) fn judge(&self) {
        for &date in self.inputs.keys() {
            let partition = Partition::Date(date);
            let current = self.current(partition);
            // A run whose holder was wrongly taken for dead, and whose model was replaced, may
            // succeed beside the one that was started instead.
            let is_right = if self.faults.misjudges { current >= 1 } else { current == 1 };
            assert!(is_right, "{date} under {:?}: {current} are current", self.reprocess);
            let newest = self.runs[&partition].last_key_value().unwrap().1;
            assert!(newest.concluded, "{date} has an open run");
        }
        let without = self.runs.keys().filter(|date| !self.inputs.contains_key(&date_of(**date)));
        assert_eq!(without.count(), 0, "a run without input");
    }
}

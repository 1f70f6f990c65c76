//! Clock, model, inputs, and who lives: what is around the processes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nightshift_core::backfill::window::window;
use nightshift_core::backfill::{Indexed, Input};
use nightshift_core::ids::{Digest, Generation, Partition};
use nightshift_core::spec::Reprocess;

use crate::broken::Broken;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::store::{Plan, Store};
use crate::{DAYS, LATE_DAY, MODEL_DAY, STEPS_MAX, Sum};

/// The first day that has input.
const FIRST: Date = Date::constant(2026, 3, 1);
/// How often one date may end badly: as often as a backfill tries again.
const FAILURES_MAX: usize = nightshift_core::backfill::RETRIES as usize;
/// Steps between two misfortunes of the ledger, in schedules where it has many.
const LEDGER_STEPS: u64 = 60;

/// How often what goes wrong: once in so many times, never for 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) crash_one_in: u64,
    ledger_one_in: u64,
    fail_one_in: u64,
    /// Holders that are taken for dead although they live, and the other way round.
    misjudge_one_in: u64,
}

/// The input of a date.
#[derive(Debug, Clone, Copy)]
struct Fed {
    arrives_at_hour: u32,
    readable_at_hour: u32,
    version: u8,
}

pub(crate) struct World {
    pub(crate) chance: Random,
    pub(crate) broken: Option<Broken>,
    pub(crate) reprocess: Reprocess,
    pub(crate) faults: Faults,
    /// Whether holders are ever misjudged; a call of a model may be wasted then.
    pub(crate) misjudges: bool,
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    /// The dates of the window.
    pub(crate) dates: Vec<Partition>,
    /// Steps that were taken so far.
    pub(crate) step: u64,
    /// The model that is deployed.
    pub(crate) model: u8,
    pub(crate) sum: Sum,
    /// The first promise that was broken.
    pub(crate) found: Option<String>,
    /// Shards for which a model is called right now, and by whom.
    pub(crate) calling: BTreeMap<(Partition, u32, u8), u64>,
    /// Shards that were committed by a call, by date, model and input.
    pub(crate) computed: BTreeSet<(Partition, u8, u8, u8)>,
    hour: u32,
    inputs: BTreeMap<Partition, Fed>,
    failing: BTreeMap<Partition, BTreeSet<u32>>,
    alive: BTreeSet<u64>,
    processes: u64,
    attempts: u64,
    steps_max: u64,
}

impl Faults {
    fn some(chance: &mut Random) -> Self {
        Self {
            crash_one_in: 20 + chance.below(200),
            ledger_one_in: LEDGER_STEPS + chance.below(1_000),
            fail_one_in: 4 + chance.below(40),
            // Half of the schedules have none, so that no call may be wasted in them.
            misjudge_one_in: if chance.one_in(2) { 0 } else { 3 + chance.below(20) },
        }
    }
}

pub(crate) fn fingerprint(plan: Plan) -> Digest {
    let mut bytes = [plan.model; 32];
    bytes[1] = plan.input;
    Digest(bytes)
}

pub(crate) fn model_digest(model: u8) -> Digest {
    Digest([100 + model; 32])
}

pub(crate) fn generation(n: u32) -> Generation {
    Generation::new(n).unwrap()
}

/// What the ledger says of a run that succeeded.
pub(crate) fn entry(n: u32, plan: Plan) -> Indexed {
    let (model, fingerprint) = (Some(model_digest(plan.model)), fingerprint(plan));
    Indexed { generation: generation(n), model, fingerprint }
}

impl World {
    pub(crate) fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut chance = Random::new(seed);
        let reprocess = match chance.below(3) {
            0 => Reprocess::Never,
            1 => Reprocess::OnModelChange,
            _ => Reprocess::OnAnyChange,
        };
        let faults = Faults::some(&mut chance);
        let steps_max = *chance.one_of(&STEPS_MAX);
        let overwrites = broken == Some(Broken::CreatesOverwrite);
        let store = Store::new(6 + chance.below(80), overwrites);
        Self {
            chance,
            broken,
            reprocess,
            faults,
            misjudges: faults.misjudge_one_in > 0,
            store,
            ledger: Ledger::default(),
            dates: Vec::new(),
            step: 0,
            model: 1,
            sum: Sum::default(),
            found: None,
            calling: BTreeMap::new(),
            computed: BTreeSet::new(),
            hour: 0,
            inputs: BTreeMap::new(),
            failing: BTreeMap::new(),
            alive: BTreeSet::new(),
            processes: 0,
            attempts: 0,
            steps_max,
        }
    }

    /// Whether this rule is broken.
    pub(crate) fn breaks(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// A promise is broken; the first one is told.
    pub(crate) fn broke(&mut self, promise: impl FnOnce() -> String) {
        self.found.get_or_insert_with(promise);
    }

    /// An hour begins: the clock, inputs, the model.
    pub(crate) fn hour(&mut self, hour: u32) {
        self.hour = hour;
        let (day, chance) = (hour / 24, &mut self.chance);
        if hour.is_multiple_of(24) {
            let first = FIRST.to_zoned(TimeZone::UTC).unwrap().timestamp();
            let now: Timestamp = first + SignedDuration::from_hours(hour.into());
            let dates = window(now, &TimeZone::UTC, DAYS);
            self.dates = dates.into_iter().map(Partition::Date).collect();
            let newest = *self.dates.last().unwrap();
            if hour > 0 {
                // Most input comes some hours after its day, some of it days later.
                let longest = if chance.one_in(6) { 5 * 24 } else { 6 };
                let arrives_at_hour = hour + chance.below(longest) as u32;
                let mended_after = if chance.one_in(8) { 24 } else { 0 };
                let readable_at_hour = arrives_at_hour + mended_after;
                self.inputs.insert(newest, Fed { arrives_at_hour, readable_at_hour, version: 1 });
            }
        }
        if hour == MODEL_DAY * 24 {
            self.model = 2;
        }
        if day == LATE_DAY {
            for fed in self.inputs.values_mut() {
                fed.version += u8::from(chance.one_in(8));
            }
        }
        if chance.one_in(2) {
            self.ledger.is_reached(true);
        }
    }

    /// Steps that are taken in this hour.
    pub(crate) fn steps_of_hour(&mut self) -> u64 {
        self.chance.below(self.steps_max)
    }

    /// One last misfortune of the ledger, then faults stop; all input is there.
    pub(crate) fn calm(&mut self) {
        self.hour(DAYS * 24);
        self.hour = u32::MAX;
        self.harm_ledger();
        self.faults = Faults::default();
        self.store.fails_one_in = 0;
        self.ledger.is_reached(true);
    }

    /// Time passes between two steps: what happens by itself.
    pub(crate) fn pass(&mut self) {
        self.step += 1;
        if self.chance.one_in(self.faults.ledger_one_in) {
            self.harm_ledger();
        }
        if self.chance.one_in(16) && self.store.land(self.step, &mut self.chance) {
            self.sum.late += 1;
        }
    }

    fn harm_ledger(&mut self) {
        let lie = entry(1, Plan { model: self.model, input: 1, inherits: None });
        self.ledger.misfortune(&self.dates, lie, &mut self.chance);
        self.sum.ledger += 1;
    }

    pub(crate) fn next_process(&mut self) -> u64 {
        self.sum.ticks += 1;
        self.processes += 1;
        self.alive.insert(self.processes);
        self.processes
    }

    pub(crate) fn next_attempt(&mut self) -> u64 {
        self.attempts += 1;
        self.attempts
    }

    /// A process has ended, or crashed.
    pub(crate) fn gone(&mut self, process: u64, crashed: bool) {
        self.sum.crashes += u64::from(crashed);
        self.sum.unknown = self.store.unknown;
        self.alive.remove(&process);
        self.calling.retain(|_, by| *by != process);
    }

    /// Whether `who` takes the holder of a run for alive.
    pub(crate) fn seems_alive(&mut self, holder: u64, who: u64) -> bool {
        let lives = holder != who && self.alive.contains(&holder);
        let misjudged = self.chance.one_in(self.faults.misjudge_one_in);
        lives != misjudged && !self.breaks(Broken::HoldersAreDead)
    }

    /// What the input of a date is for a process that has this model, and what it would plan.
    pub(crate) fn input(&self, partition: Partition, model: u8) -> (Input, Option<Plan>) {
        match self.inputs.get(&partition) {
            Some(fed) if fed.arrives_at_hour <= self.hour => {
                if fed.readable_at_hour > self.hour {
                    return (Input::Unreadable("it is damaged".to_owned()), None);
                }
                let plan = Plan { model, input: fed.version, inherits: None };
                (Input::Present { fingerprint: fingerprint(plan) }, Some(plan))
            }
            _ => (Input::Missing, None),
        }
    }

    /// Dates that have input in the end.
    pub(crate) fn fed(&self) -> impl Iterator<Item = Partition> + '_ {
        self.inputs.keys().copied()
    }

    /// Whether the rows of a shard are such that it is given up.
    pub(crate) fn shard_fails(&mut self, partition: Partition, n: u32) -> bool {
        if !self.chance.one_in(self.faults.fail_one_in) {
            return false;
        }
        let failing = self.failing.entry(partition).or_default();
        if failing.len() < FAILURES_MAX {
            failing.insert(n);
        }
        failing.contains(&n)
    }

    /// Whether a plan made what would be made now, as far as the setting cares.
    pub(crate) fn is_fresh(&self, partition: Partition, plan: Plan) -> bool {
        match self.reprocess {
            Reprocess::Never => true,
            Reprocess::OnModelChange => plan.model == self.model,
            Reprocess::OnAnyChange => {
                plan.model == self.model && plan.input == self.inputs[&partition].version
            }
        }
    }
}

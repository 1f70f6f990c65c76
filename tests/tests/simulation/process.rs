//! One `nightshift backfill`: the steps of the shell, between any two of which it may die.

use std::collections::BTreeMap;

use nightshift_core::backfill::{Rules, Step, Tick, Turn, Work};
use nightshift_core::ids::Partition;
use nightshift_core::spec::Order;

use crate::world::{Plan, World, model_digest};
use nightshift_tests::random::Random;

pub(crate) struct Process {
    pub(crate) number: u64,
    at: At,
    /// The model that it has loaded.
    model: u8,
    rebuilds: bool,
    /// Plans of the inputs that it has looked at.
    plans: BTreeMap<Partition, Option<Plan>>,
}

/// What it does next.
enum At {
    Index,
    Deciding(Box<Tick>),
    Tell(Vec<Partition>, Option<Job>),
    Take(Job),
    Plan(Job),
    Infer(Job),
    Record(Job),
    Conclude(Job),
    Over,
}

/// The date that it works on.
#[derive(Clone, Copy)]
struct Job {
    partition: Partition,
    work: Work,
    fresh: Option<Plan>,
}

impl Process {
    pub(crate) fn start(number: u64) -> Self {
        Self { number, at: At::Index, model: 0, rebuilds: false, plans: BTreeMap::new() }
    }

    /// One step; whether it was the last.
    pub(crate) fn step(&mut self, world: &mut World, chance: &mut Random) -> bool {
        self.at = match std::mem::replace(&mut self.at, At::Over) {
            At::Index => {
                let (dates, is_lost) = world.index();
                self.rebuilds = is_lost;
                self.model = world.model;
                let rules = Rules { reprocess: world.reprocess, force: false };
                let order = if chance.one_in(2) { Order::Oldest } else { Order::Newest };
                At::Deciding(Box::new(Tick::new(rules, order, 1, dates)))
            }
            At::Deciding(tick) => self.decide(tick, world, chance),
            At::Tell(dates, job) => {
                world.tell(&dates, self.rebuilds);
                job.map_or(At::Over, At::Take)
            }
            At::Take(job) => match world.take(job.partition, job.work, self.number) {
                true => At::Plan(job),
                false => At::Over,
            },
            At::Plan(job) => self.plan(job, world),
            At::Infer(job) => match world.begin_inference(job.partition, job.work.generation()) {
                true => At::Record(job),
                false => At::Conclude(job),
            },
            At::Record(job) => {
                world.record(job.partition, job.work.generation(), chance);
                At::Conclude(job)
            }
            At::Conclude(job) => {
                world.conclude(job.partition, job.work.generation());
                At::Tell(vec![job.partition], None)
            }
            At::Over => At::Over,
        };
        matches!(self.at, At::Over)
    }

    fn decide(&mut self, mut tick: Box<Tick>, world: &World, chance: &mut Random) -> At {
        match tick.step() {
            Step::AskStore(dates) => {
                for date in dates {
                    tick.store(date, world.store(date, self.number, chance));
                }
            }
            Step::AskModel => tick.model(model_digest(self.model)),
            Step::AskInput(date) => {
                let (input, plan) = world.input(date, self.model);
                self.plans.insert(date, plan);
                tick.input(date, input);
            }
            Step::Decided(decided) => {
                let unsaid = decided.iter().filter(|one| one.instruction.writes_back());
                let untold: Vec<Partition> = unsaid.map(|one| one.partition).collect();
                let now = decided.iter().filter(|one| one.turn == Turn::Now);
                let job = now.filter_map(|one| Some((one.partition, one.instruction.work()?)));
                let job = job.map(|(partition, work)| {
                    // A run that is joined with its plan needs no other.
                    let fresh = self.plans.get(&partition).copied().flatten();
                    let fresh = fresh.or_else(|| world.input(partition, self.model).1);
                    Job { partition, work, fresh }
                });
                return At::Tell(untold, job.take(1).next());
            }
        }
        At::Deciding(tick)
    }

    /// Stores the plan; a process without the model of the stored one stops.
    fn plan(&self, job: Job, world: &mut World) -> At {
        let Some(fresh) = job.fresh else { return At::Over };
        let stored = world.plan(job.partition, job.work.generation(), fresh);
        if stored.model == self.model { At::Infer(job) } else { At::Over }
    }
}

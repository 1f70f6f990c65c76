//! The whole of it: processes, store, ledger, time, and the faults that are left.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::lease::Moment;

use crate::coordinator::Coordinator;
use crate::store::{Body, Fate, Store};
use crate::worker::Worker;
use crate::{Bounds, Mutant, Run, Step};

/// Coordinators that may live at the same time.
pub const COORDINATORS: u8 = 2;

/// A state of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// Ticks since the beginning.
    pub now: u8,
    /// The truth.
    pub store: Store,
    /// The ledger.
    pub ledger: Ledger,
    /// An earlier copy of it.
    pub ledger_before: Ledger,
    /// By slot; none if dead.
    pub coordinators: [Option<Coordinator>; COORDINATORS as usize],
    /// By slot.
    pub workers: Vec<Worker>,
    /// Coordinators that were ever started.
    pub epochs: u8,
    /// Attempts that were ever begun.
    pub attempts: u8,
    /// Worker processes that were ever started.
    pub processes: u8,
    /// Faults that may still happen.
    pub faults: u8,
    /// What was acknowledged to workers: the record of the shard at that time.
    pub acknowledged: BTreeMap<u8, Option<Body>>,
}

/// What Redis says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Ledger {
    /// Shards that have a record.
    pub done: BTreeSet<u8>,
    /// Whether the run has a final.
    pub finished: bool,
}

impl World {
    /// Before anything has happened.
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            now: 0,
            store: Store::default(),
            ledger: Ledger::default(),
            ledger_before: Ledger::default(),
            coordinators: [None, None],
            workers: (0..bounds.workers).map(Worker::new).collect(),
            epochs: 0,
            attempts: 0,
            processes: bounds.workers,
            faults: bounds.faults,
            acknowledged: BTreeMap::new(),
        }
    }

    /// The time for a lease table.
    pub fn moment(&self) -> Moment {
        Moment(self.now.into())
    }

    /// A coordinator that lives.
    pub fn coordinator(&self, slot: u8) -> Option<&Coordinator> {
        self.coordinators.get(usize::from(slot))?.as_ref()
    }

    /// Takes one fault from those that are left.
    pub fn spend(&mut self) {
        self.faults = self.faults.saturating_sub(1);
    }

    /// Marks a shard in the ledger.
    pub fn mark_done(&mut self, shard: u8) {
        if !self.ledger.done.contains(&shard) {
            self.ledger_before = self.ledger.clone();
            self.ledger.done.insert(shard);
        }
    }

    /// Marks the run in the ledger.
    pub fn mark_finished(&mut self) {
        if !self.ledger.finished {
            self.ledger_before = self.ledger.clone();
            self.ledger.finished = true;
        }
    }
}

/// The fates that a create may have with the faults that are left.
pub fn fates(world: &World) -> &'static [Fate] {
    if world.faults > 0 { &[Fate::Clean, Fate::AnswerLost, Fate::Late] } else { &[Fate::Clean] }
}

impl Run {
    pub(crate) fn world_steps(&self, world: &World, steps: &mut Vec<Step>) {
        if world.now < self.bounds.ticks {
            steps.push(Step::Tick);
        }
        steps.extend((0..world.store.late.len()).map(|at| Step::Land { at: at as u8 }));
        if world.faults > 0 && world.ledger != Ledger::default() {
            steps.push(Step::LoseLedger);
            steps.push(Step::AgeLedger);
        }
    }

    /// Performs one step. Steps that make no sense do nothing.
    pub fn take(&self, world: &mut World, step: Step) {
        match step {
            Step::Tick => {
                world.now = world.now.saturating_add(1);
                for slot in 0..COORDINATORS {
                    self.time_passed(world, slot);
                }
            }
            Step::Land { at } => world.store.land(at, self.breaks(Mutant::CreatesOverwrite)),
            Step::LoseLedger => {
                world.spend();
                world.ledger = Ledger::default();
            }
            Step::AgeLedger => {
                world.spend();
                world.ledger = world.ledger_before.clone();
            }
            Step::Start { .. }
            | Step::CrashCoordinator { .. }
            | Step::Repair { .. }
            | Step::Quarantine { .. }
            | Step::Finalise { .. } => self.coordinator_step(world, step),
            _ => self.worker_step(world, step),
        }
    }
}

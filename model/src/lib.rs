//! A model of one run for the model checker: workers, coordinators, the store and the ledger,
//! with every order of their steps and a few faults at any place.
//!
//! What decides is the real code of `nightshift-core`: the lease table, the settle protocol and
//! [`Final::conclude`]. What is modelled is what surrounds it:
//!
//! - [`store`]: objects that are created once; a create may happen with its answer lost, or
//!   happen late, or never; staged and visible files.
//! - [`worker`]: acquire, score, stage, settle, publish, report; heartbeats; crashes.
//! - [`coordinator`]: plans, recovers from the store, grants, repairs, gives shards up, writes
//!   the final, marks the ledger; up to two at a time, each with an epoch of its own.
//! - [`world`]: all of it, time, the ledger, and the faults that are left.
//!
//! [`judge`] holds the properties (I1-I6 and I8 of the design), [`honest`] what I8 means: from
//! any state, one worker and one coordinator bring the run to its final. [`Mutant`] lists rules
//! that can be broken, to see that a property notices.
//!
//! One step is what no other process can see the middle of: one request to the store or to a
//! coordinator, with what the caller decides from the answer.
//!
//! [`Final::conclude`]: nightshift_core::conclusion::Final::conclude

use stateright::{Model, Property};

pub mod coordinator;
pub mod documents;
pub mod honest;
pub mod judge;
pub mod mutant;
pub mod settling;
pub mod store;
pub mod worker;
pub mod world;

pub use mutant::Mutant;
pub use world::World;

use documents::Documents;
use store::Fate;

/// How large a world is explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Worker slots; a worker that crashed comes back as another process.
    pub workers: u8,
    /// Shards of the run.
    pub shards: u8,
    /// Coordinators that are ever started.
    pub epochs: u8,
    /// How often time passes, in halves of a TTL.
    pub ticks: u8,
    /// Faults, of any kind, at any place.
    pub faults: u8,
    /// Attempts that are ever begun.
    pub attempts: u8,
}

/// The model: bounds, documents, and perhaps a broken rule.
#[derive(Debug)]
pub struct Run {
    /// How far it goes.
    pub bounds: Bounds,
    /// The rule that is broken.
    pub mutant: Option<Mutant>,
    /// The real documents behind the small states.
    pub documents: Documents,
}

impl Run {
    /// The model of a run within bounds.
    pub fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        Self { bounds, mutant, documents: Documents::new(bounds.shards) }
    }

    /// Whether this rule is broken.
    pub fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// One step of somebody. Workers and coordinators are named by their slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A coordinator starts: next epoch, plan, records.
    Start { coordinator: u8 },
    /// A coordinator dies.
    CrashCoordinator { coordinator: u8 },
    /// An idle worker asks for work; the answer may be lost.
    Acquire { worker: u8, coordinator: u8, answer_lost: bool },
    /// A worker renews its lease.
    Heartbeat { worker: u8, coordinator: u8 },
    /// A worker that has not begun to settle gives its lease back.
    Release { worker: u8, coordinator: u8 },
    /// An attempt fails, because of its rows or of the world.
    Fail { worker: u8, coordinator: u8, bad_data: bool },
    /// The staged files of an attempt are complete.
    Stage { worker: u8 },
    /// A worker creates the record.
    Create { worker: u8, fate: Fate },
    /// A worker reads the record back.
    ReadBack { worker: u8 },
    /// A worker makes the visible file.
    Publish { worker: u8 },
    /// A worker tells a coordinator how its attempt ended.
    Report { worker: u8, coordinator: u8 },
    /// A worker dies; somebody may see it and tell the coordinators.
    CrashWorker { worker: u8, seen: bool },
    /// A new process in the place of a dead one.
    Restart { worker: u8 },
    /// A coordinator finds a record in the store and catches up with it.
    Repair { coordinator: u8, shard: u8 },
    /// A coordinator creates the record that gives a shard up.
    Quarantine { coordinator: u8, shard: u8, fate: Fate },
    /// A coordinator that knows all shards as decided creates the final.
    Finalise { coordinator: u8, fate: Fate },
    /// A create that was on its way arrives.
    Land { at: u8 },
    /// Half a TTL passes.
    Tick,
    /// The ledger is wiped.
    LoseLedger,
    /// The ledger is replaced by an earlier copy.
    AgeLedger,
}

impl Model for Run {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.bounds)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        self.world_steps(world, steps);
        for coordinator in 0..world::COORDINATORS {
            self.coordinator_steps(world, coordinator, steps);
        }
        for worker in 0..self.bounds.workers {
            self.worker_steps(world, worker, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        self.take(&mut next, step);
        // A question with the same answer as before leads nowhere.
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        judge::properties()
    }
}

//! What I8 promises: while one worker, one coordinator and the store live, the run ends.

use crate::store::{Fate, Key};
use crate::world::{COORDINATORS, World};
use crate::{Run, Step};

/// Steps after which a run that could end has ended: some 20 for each shard, and the longest
/// waits.
const STEPS_MAX: usize = 120;
/// The worker that lives; all others say nothing more.
const WORKER: u8 = 0;

impl Run {
    /// Whether the run ends from here on without more faults.
    pub fn ends(&self, world: &World) -> bool {
        let mut world = world.clone();
        world.faults = 0;
        let mut steps = Vec::new();
        for _ in 0..STEPS_MAX {
            if world.store.objects.contains_key(&Key::Final) {
                return true;
            }
            let step = self.honest_step(&world, &mut steps);
            let before = (world.workers.get(usize::from(WORKER)).cloned(), world.now);
            self.take(&mut world, step);
            let after = (world.workers.get(usize::from(WORKER)).cloned(), world.now);
            let asked = matches!(step, Step::Acquire { .. } | Step::Report { .. });
            if asked && before == after {
                // There is no work now. Time passes, and the worker is heard of.
                self.take(&mut world, Step::Tick);
            }
        }
        false
    }

    fn honest_step(&self, world: &World, steps: &mut Vec<Step>) -> Step {
        let up = (0..COORDINATORS).find(|slot| world.coordinator(*slot).is_some());
        let Some(coordinator) = up else { return Step::Start { coordinator: 0 } };
        steps.clear();
        self.coordinator_steps(world, coordinator, steps);
        if let Some(step) = steps.first() {
            return *step;
        }
        let Some(worker) = world.workers.get(usize::from(WORKER)) else { return Step::Tick };
        use crate::worker::Doing;
        match &worker.doing {
            Doing::Dead => Step::Restart { worker: WORKER },
            Doing::Idle => Step::Acquire { worker: WORKER, coordinator, answer_lost: false },
            Doing::Scoring(_) => Step::Stage { worker: WORKER },
            Doing::Settling(_, settling) if settling.creates_next() => {
                Step::Create { worker: WORKER, fate: Fate::Clean }
            }
            Doing::Settling(..) => Step::ReadBack { worker: WORKER },
            Doing::Publishing(_) => Step::Publish { worker: WORKER },
            Doing::Reporting(..) => Step::Report { worker: WORKER, coordinator },
        }
    }
}

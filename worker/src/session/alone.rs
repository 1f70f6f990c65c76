//! A run that this process does alone, as a backfill does: where [`Session::run`] helps whoever
//! works on a date already, this leaves it to them.

use nightshift_core::backfill::Work;
use nightshift_core::plan::Plan;
use nightshift_storage::opening::{Opener, open_epoch, open_run, take};

use super::{Outcome, Prepared, RunError, Session, Task};

/// What became of a run that was to be done alone.
#[derive(Debug)]
pub enum Alone {
    /// This process did it.
    Ran(Outcome),
    /// Another process was faster, and does it.
    Taken,
}

impl Session {
    /// Does `work`, unless another process is faster. `fresh` is the plan of the task, where the
    /// caller has made it already.
    ///
    /// # Errors
    /// See [`RunError`]. What was committed before stays committed.
    pub fn run_alone(
        &self,
        task: &Task,
        work: Work,
        fresh: Option<Plan>,
    ) -> Result<Alone, RunError> {
        if let Some(why) = self.why_closed(task)? {
            return Ok(Alone::Ran(Outcome::Paused { undecided: 0, why }));
        }
        let opener = Opener { retry: work.retry(), ..self.opener(task)? };
        let (plan, loaded) = match (self.planned(task, work.decision())?, fresh) {
            (Some(plan), _) | (None, Some(plan)) => {
                let loaded = self.load_planned(&plan)?;
                (plan, loaded)
            }
            (None, None) => {
                let Prepared { plan, loaded } = self.prepare(task)?;
                (plan, loaded)
            }
        };
        self.unless_drained()?;
        let opened = self.runtime.block_on(async {
            let root = self.output(task).await?;
            if !take(&root, &opener, task.partition, work).await? {
                return Ok::<_, RunError>(None);
            }
            let open = open_run(&root, &opener, task.partition, work.decision(), plan).await?;
            let epoch = match work {
                Work::Start { .. } => open_epoch(&root, &opener, &open.plan.run).await?,
                Work::Join(dead) => dead.epoch + 1,
            };
            Ok(Some((root, open, epoch)))
        });
        let Some((root, open, epoch)) = opened? else { return Ok(Alone::Taken) };
        let loaded = self.loaded_for(&open.plan, loaded)?;
        self.opened(task, &root, &open);
        self.lease(task, root, open, loaded, epoch).map(Alone::Ran)
    }
}

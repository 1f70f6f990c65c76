//! Runs that have their verdict already: what they came to, and what is left to publish.

use nightshift_core::decide::{Decision, run_id};
use nightshift_core::ids::RunId;
use nightshift_core::layout::Object;
use nightshift_core::plan::Outline;
use nightshift_core::report::Report;
use nightshift_notify::Urgency;
use nightshift_storage::concluding::complete;
use nightshift_storage::root::{OutputRoot, Reader as RootReader};

use super::{Outcome, RunError, Session, Task};

impl Session {
    /// The outcome of a date about which there is nothing to do.
    pub(super) fn over(
        &self,
        task: &Task,
        decision: Decision,
    ) -> Result<Option<Outcome>, RunError> {
        let (Decision::Done(generation)
        | Decision::Withheld(generation)
        | Decision::Rejected(generation)) = decision
        else {
            return Ok(None);
        };
        let run = run_id(&task.spec.name, task.partition, generation);
        let Some((plan, report)) = self.stored(task, &run)? else { return Ok(None) };
        if decision != Decision::Done(generation) {
            return Ok(Some(Outcome::Held(Box::new(report), decision)));
        }
        self.complete(task, &report)?;
        self.catch_up(task, &plan, &report, Urgency::Passing)?;
        Ok(Some(Outcome::AlreadyDone(Box::new(report))))
    }

    /// Publishes what is left to publish of a run that succeeded, and writes its `_SUCCESS`: its
    /// process may have died just before.
    fn complete(&self, task: &Task, report: &Report) -> Result<(), RunError> {
        let RunId { partition, generation, .. } = report.verdict.run;
        self.runtime.block_on(async {
            let reader = RootReader::open(&task.bound.output).await?;
            // The usual case writes nothing, so a done date may lie on a read-only volume.
            if reader.exists(&Object::Success { partition, generation }).await? {
                return Ok(());
            }
            let run = report.verdict.run.clone();
            let Some(plan) = reader.read::<Outline>(&Object::Plan { run }).await? else {
                return Ok(());
            };
            let root = OutputRoot::open(&task.bound.output, self.durability).await?;
            complete(&root.probe_for(&self.deciding).await?, &plan, report.verdict.clone()).await?;
            Ok(())
        })
    }
}

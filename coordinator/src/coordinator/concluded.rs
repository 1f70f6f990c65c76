//! What comes after a verdict, and was left undone by a process that died: `_SUCCESS`, and
//! telling others.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::run_id;
use nightshift_core::describe::describe;
use nightshift_core::ids::{Generation, Partition, RunId};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Outline;
use nightshift_core::report::Report;
use nightshift_core::report::telling::TRY_MAX_S;
use nightshift_notify::Urgency;
use nightshift_storage::concluding::complete;

use super::Coordinator;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

/// Verdicts that are older than this are not told of any more: what was not heard of in a week
/// is no news, and a start must not read the plans of years.
const NEWS_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Coordinator {
    /// Publishes what is left to publish of a run that succeeded, and writes its `_SUCCESS`: its
    /// process may have died just before.
    pub(super) async fn complete(
        &self,
        served: &ServedRoot,
        partition: Partition,
        generation: Generation,
    ) -> Result<(), Refusal> {
        if served.root.exists(&Object::Success { partition, generation }).await? {
            return Ok(());
        }
        let run = run_id(&served.name, partition, generation);
        if let Some((plan, report)) = self.stored(served, &run, |_| true).await?
            && report.verdict.state == FinalState::Succeeded
        {
            let report = complete(&served.root, &plan, report.verdict).await?;
            self.met_judgement(&served.root, &report.verdict).await?;
        }
        Ok(())
    }

    /// Tells others of a concluded run, if they have not been told, in a task of its own. Who
    /// died while telling is given the time after which a try counts as over.
    pub(super) async fn tell_later(self: &Arc<Self>, served: &Arc<ServedRoot>, run: &RunId) {
        let since = self.clock.wall() - NEWS_MAX;
        let behind = async {
            let fresh = |verdict: &Final| verdict.decided_at >= since;
            let Some((plan, report)) = self.stored(served, run, fresh).await? else {
                return Ok(None);
            };
            // As though somebody asked: also what another may still be at.
            let behind = self.teller.is_behind(&served.root, &plan, Urgency::Asked).await?;
            Ok::<_, Refusal>(behind.then_some((plan, report)))
        };
        let (plan, report) = match behind.await {
            Ok(Some(behind)) => behind,
            Ok(None) => return,
            Err(error) => {
                return tracing::warn!(%run, error = describe(&error), "whether others were told of the run is not known");
            }
        };
        let (this, served) = (Arc::clone(self), Arc::clone(served));
        nightshift_telemetry::spawn("catch-up", async move {
            let pause = Duration::from_secs(TRY_MAX_S.unsigned_abs() + 1);
            for pause in [Duration::ZERO, pause] {
                tokio::time::sleep(pause).await;
                let root = served.root.reader();
                let deciding = this.roots.deciding();
                this.teller.catch_up(root, &plan, &report, Urgency::Passing, deciding).await;
            }
        });
    }

    /// The outline and the report of a concluded run, if its verdict is a wanted one.
    async fn stored(
        &self,
        served: &ServedRoot,
        run: &RunId,
        wanted: impl Fn(&Final) -> bool,
    ) -> Result<Option<(Outline, Report)>, Refusal> {
        let RunId { partition, generation, .. } = *run;
        let verdict: Option<Final> =
            served.root.read(&Object::Final { partition, generation }).await?;
        let Some(verdict) = verdict.filter(|verdict| wanted(verdict)) else { return Ok(None) };
        let plan: Option<Outline> = served.root.read(&Object::Plan { run: run.clone() }).await?;
        let output = Prefix::Visible(partition, generation).path();
        Ok(plan.map(|plan| {
            let report = Report::new(&plan, verdict, output);
            (plan, report)
        }))
    }
}

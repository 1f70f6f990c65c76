//! What others are told of a session's runs, and what is told of runs that are over.

use std::sync::PoisonError;
use std::time::Duration;

use nightshift_core::ids::RunId;
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Outline;
use nightshift_core::report::Report;
use nightshift_core::report::study::FullReport;
use nightshift_notify::Urgency;
use nightshift_notify::records::full_report;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::Reader;

use super::{RunError, Session, Task};

/// How often somebody who waits looks whether to drain: soon, for a person.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

impl Session {
    /// The outline and the report of a concluded run, from its stored documents.
    ///
    /// # Errors
    /// If a document cannot be read.
    pub fn stored(&self, task: &Task, run: &RunId) -> Result<Option<(Outline, Report)>, RunError> {
        let stored = async {
            let root = Reader::open(&task.bound.output).await?;
            let verdict = Object::Final { partition: run.partition, generation: run.generation };
            let plan: Option<Outline> = root.read(&Object::Plan { run: run.clone() }).await?;
            Ok::<_, StoreError>(plan.zip(root.read(&verdict).await?))
        };
        let stored = self.runtime.block_on(stored)?;
        Ok(stored.map(|(plan, verdict)| {
            let visible = Prefix::Visible(run.partition, run.generation);
            let report = Report::new(&plan, verdict, visible.path());
            (plan, report)
        }))
    }

    /// What the records of a concluded run add to its report.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn full_report(
        &self,
        task: &Task,
        plan: &Outline,
        report: Report,
    ) -> Result<FullReport, RunError> {
        let full = async {
            let root = Reader::open(&task.bound.output).await?;
            full_report(&root, plan, report).await
        };
        Ok(self.runtime.block_on(full)?)
    }

    /// Tells what others have not been told yet of a concluded run. That somebody cannot be
    /// told is a warning in the log.
    ///
    /// # Errors
    /// If the output is gone.
    pub fn catch_up(
        &self,
        task: &Task,
        plan: &Outline,
        report: &Report,
        urgency: Urgency,
    ) -> Result<(), RunError> {
        if plan.reporting.is_none() {
            return Ok(());
        }
        let told = async {
            let root = Reader::open(&task.bound.output).await?;
            self.teller.catch_up(&root, plan, report, urgency, &self.deciding).await;
            Ok::<_, StoreError>(())
        };
        Ok(self.runtime.block_on(told)?)
    }

    /// Waits until others have been told of this session's runs, or cannot be for now: last of
    /// all, since nothing is told afterwards. Who drains does not wait for a service that is
    /// away; the next look at the run tells the rest.
    pub fn finish_telling(&self) {
        self.runtime.block_on(async {
            let mut finished = std::pin::pin!(self.teller.finish());
            while tokio::time::timeout(DRAIN_LOOK, &mut finished).await.is_err() {
                if self.drain.is_requested() {
                    return;
                }
            }
        });
    }

    /// How long the model took to load; told once.
    pub(super) fn take_loading(&self) -> Option<Duration> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

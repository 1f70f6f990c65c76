//! What a launcher asks and tells: which runs want workers, and what became of those.

use std::num::NonZeroU32;
use std::sync::Arc;

use nightshift_core::ids::RunId;
use nightshift_core::plan::Planned;
use nightshift_core::record::FailureClass;

use super::Coordinator;
use crate::desk::RunFacts;
use crate::refusal::Refusal;

/// A run on the desk, as its launcher sees it.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// What it is.
    pub facts: Arc<RunFacts>,
    /// Shards without a record.
    pub undecided: u64,
    /// Whether more workers are of no use: it was stopped or cancelled, or its verdict is made.
    pub ending: bool,
    /// Whether no shard may be begun at this time of day.
    pub closed: bool,
}

impl Coordinator {
    /// Every run that is under way.
    pub fn open_runs(&self) -> Vec<OpenRun> {
        self.look(|desk, _| {
            let open = desk.runs().map(|run| OpenRun {
                facts: Arc::clone(&run.facts),
                undecided: run.undecided(),
                ending: run.is_ending() || run.is_concluding(),
                closed: run.is_closed(),
            });
            open.collect()
        })
    }

    /// The processes that hold leases of a run.
    pub fn busy_hosts(&self, run: &RunId) -> Vec<String> {
        self.look(|desk, _| desk.busy_hosts(run))
    }

    /// Whether a run has its final. False also for a run that is not known here.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_over(&self, run: &RunId) -> Result<bool, Refusal> {
        let (open, over) = self.look(|desk, _| (desk.run(run).is_some(), desk.is_concluded(run)));
        if open || over {
            return Ok(over);
        }
        Ok(self.verdict(run).await?.is_some())
    }

    /// A process that worked has ended, or is gone: whoever waits may have its shards at once.
    pub fn worker_vanished(
        self: &Arc<Self>,
        run: &RunId,
        host: &str,
        class: FailureClass,
        reason: &str,
        message: &str,
    ) {
        let now = self.clock.now();
        let (freed, tasks) = self.desk().worker_vanished(now, host, class, reason, message);
        self.perform(tasks);
        if freed > 0 {
            let class = class.as_str();
            tracing::warn!(%run, host, class, reason, error = message, freed, "worker gone");
            self.changed.notify_waiters();
        }
    }

    /// Rows of the batches with which a process works on a run; none where nothing was learned.
    pub fn batch_of(&self, run: &RunId, host: &str) -> Option<NonZeroU32> {
        self.look(|desk, _| desk.batch_of(run, host))
    }

    /// Says for people what is the matter with a run's workers; empty if nothing is.
    pub fn set_launch_notice(&self, run: &RunId, notice: String) {
        if let Some(active) = self.desk().run_mut(run) {
            active.set_launch_notice(notice);
        }
    }

    /// Its workers cannot go on: gives up what is undecided in a run, with the reason.
    pub fn give_up(
        self: &Arc<Self>,
        run: &RunId,
        class: FailureClass,
        reason: &str,
        message: String,
    ) {
        let now = self.clock.now();
        let tasks = self.desk().give_up(now, run, class, reason, message);
        self.perform(tasks);
        self.changed.notify_waiters();
    }
}

impl OpenRun {
    /// The run.
    pub fn run(&self) -> &RunId {
        self.facts.outline.run()
    }
}

//! Telling others, beside the work: what is wanted, whether it is time, and doing it.

use std::sync::Arc;

use jiff::Timestamp;
use nightshift_core::describe::describe;
use nightshift_core::plan::{Planned, Reporting};
use nightshift_core::report::Report;
pub use nightshift_core::report::telling::Urgency;
use nightshift_core::report::telling::{Channel, Telling, decide};
use nightshift_storage::deciding::Deciding;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::{OutputRoot, Probed, Reader};
use nightshift_storage::sync::Durability;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::error::NotTold;
use crate::marks;
use crate::sender::{Occasion, Sender};

/// Runs that are told of at the same time; more wait for their turn. A service that is away
/// holds each for its whole patience, and each may hold a report in memory.
const RUNS_MAX: usize = 8;
/// Tells others of runs, in tasks of its own.
#[derive(Debug)]
pub struct Teller {
    /// This process, for people.
    who: String,
    sender: Sender,
    /// A permit for every run that is being told of.
    runs: Semaphore,
    /// The tasks that tell.
    tasks: TaskTracker,
}

impl Teller {
    /// A teller that signs its marks as `who`.
    pub fn new(who: String) -> Arc<Self> {
        let (runs, tasks) = (Semaphore::new(RUNS_MAX), TaskTracker::new());
        Arc::new(Self { who, sender: Sender::default(), runs, tasks })
    }

    /// Tells of a run that has begun, in a task of its own. Needs a runtime.
    pub fn begun<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>)
    where
        P: Planned + Send + Sync + 'static,
    {
        self.spawn(root, plan, None);
    }

    /// Tells of a run that has its verdict, in a task of its own. Needs a runtime.
    pub fn concluded<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>, report: Report)
    where
        P: Planned + Send + Sync + 'static,
    {
        self.spawn(root, plan, Some(report));
    }

    fn spawn<P>(self: &Arc<Self>, root: &Probed, plan: &Arc<P>, report: Option<Report>)
    where
        P: Planned + Send + Sync + 'static,
    {
        if plan.reporting().is_none() {
            return;
        }
        let (this, root, plan) = (Arc::clone(self), root.clone(), Arc::clone(plan));
        let telling = self.tasks.track_future(async move {
            let occasion = report.as_ref().map_or(Occasion::Begun, Occasion::Concluded);
            this.tell(&root, &plan, occasion, Urgency::Passing).await;
        });
        // Detached: the tracker waits for it.
        drop(nightshift_telemetry::spawn("tell", telling));
    }

    /// Tells what is still to be told of a run that has its verdict. A look alone, and nothing
    /// is opened for writing, where there is nothing to tell. Marks are created as `deciding` says.
    /// Returns when it is done.
    pub async fn catch_up<P: Planned + Sync>(
        &self,
        root: &Reader,
        plan: &P,
        report: &Report,
        urgency: Urgency,
        deciding: &Deciding,
    ) {
        match self.is_behind(root, plan, urgency).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => return warn(plan, None, &error.into()),
        }
        let directory = root.place().to_owned();
        let opened = OutputRoot::open(&directory, Durability::Full);
        let probed = async { opened.await?.probe_for(deciding).await };
        match probed.await {
            Ok(root) => self.tell(&root, plan, Occasion::Concluded(report), urgency).await,
            Err(error) => warn(plan, None, &error.into()),
        }
    }

    /// Waits until everything that was begun has been told, or given up for now: at the end of a
    /// process, after which nothing more is to be told.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether anything is to be told now of a run that has its verdict.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_behind<P: Planned + Sync>(
        &self,
        root: &Reader,
        plan: &P,
        urgency: Urgency,
    ) -> Result<bool, StoreError> {
        let Some(reporting) = plan.reporting() else { return Ok(false) };
        for channel in Channel::ALL.into_iter().filter(|channel| channel.is_wanted(reporting)) {
            let facts = marks::facts(root, plan.run(), channel).await?;
            if matches!(decide(facts, Timestamp::now(), urgency), Telling::Try(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells on every channel that is wanted and due: the report first, since messages link to
    /// it, and the rest at the same time, since each may wait for a service.
    async fn tell<P: Planned + Sync>(
        &self,
        root: &Probed,
        plan: &P,
        occasion: Occasion<'_>,
        urgency: Urgency,
    ) {
        let Some(reporting) = plan.reporting() else { return };
        // The semaphore is never closed.
        let Ok(_permit) = self.runs.acquire().await else { return };
        let one = |channel| async move {
            if !occasion.is_of(channel) || !channel.is_wanted(reporting) {
                return;
            }
            let told = self.tell_one(root, plan, reporting, occasion, urgency, channel).await;
            if let Err(error) = told {
                warn(plan, Some(channel), &error);
            }
        };
        one(Channel::Report).await;
        let lineage = async {
            one(Channel::LineageStart).await;
            one(Channel::LineageEnd).await;
        };
        futures::future::join(one(Channel::Webhook), lineage).await;
    }

    /// Tells on one channel, if it is time to.
    async fn tell_one<P: Planned + Sync>(
        &self,
        root: &Probed,
        plan: &P,
        reporting: &Reporting,
        occasion: Occasion<'_>,
        urgency: Urgency,
        channel: Channel,
    ) -> Result<(), NotTold> {
        let run = plan.run();
        let facts = marks::facts(root, run, channel).await?;
        let number = match decide(facts, Timestamp::now(), urgency) {
            Telling::Try(number) => number,
            skipped => {
                tracing::debug!(%run, %channel, ?skipped, "not told");
                return Ok(());
            }
        };
        if !marks::begin(root, run, channel, number, &self.who).await? {
            return Ok(());
        }
        self.sender.send(root, plan, reporting, occasion, channel).await?;
        marks::end(root, run, channel, &self.who).await?;
        tracing::info!(%run, %channel, number, "told");
        Ok(())
    }
}

/// Says what could not be told. The run is as it is.
fn warn(plan: &impl Planned, channel: Option<Channel>, error: &NotTold) {
    let (run, error) = (plan.run(), describe(error));
    let channel = channel.map_or("any", Channel::as_str);
    tracing::warn!(%run, channel, error, "others could not be told of the run; whoever looks at it next tries again");
}

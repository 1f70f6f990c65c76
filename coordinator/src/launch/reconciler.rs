//! Says to the launcher, again and again, which runs are to have how many workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use nightshift_core::describe::describe;
use nightshift_core::ids::RunId;
use nightshift_core::record::FailureClass;
use nightshift_core::spec::Workers;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::{Backoff, random};
use super::{LaunchError, Launcher, Leftover, Sighting, Wanted};
use crate::coordinator::{Coordinator, OpenRun};

/// How often the desk is looked at for runs that came, went or have fewer shards left.
const LOOK: Duration = Duration::from_millis(500);
/// How often a run is compared although nothing is known to have changed.
const COMPARE: Duration = Duration::from_secs(30);
/// How soon again while there are more slots than work, until the leases allow to lower them.
const COMPARE_SURPLUS: Duration = Duration::from_secs(5);
/// How often what is there is listed, for runs that nobody on the desk knows.
const LIST: Duration = Duration::from_secs(600);
/// Runs that are compared at the same time.
const AT_ONCE: usize = 8;
/// Longest comparison; then it is tried again.
const BOUND: Duration = Duration::from_secs(20);

/// Reconciles until the process ends. `sightings` are those of `launcher`.
pub async fn reconcile(
    coordinator: Arc<Coordinator>,
    launcher: Arc<dyn Launcher>,
    mut sightings: mpsc::Receiver<Sighting>,
) {
    let mut runs = Runs::default();
    loop {
        tokio::select! {
            seen = sightings.recv() => match seen {
                Some(sighting) => runs.take_in(&coordinator, sighting),
                // Nobody watches any more: the launcher has ended.
                None => return,
            },
            () = tokio::time::sleep(LOOK) => {}
        }
        while let Ok(sighting) = sightings.try_recv() {
            runs.take_in(&coordinator, sighting);
        }
        runs.list(&coordinator, &*launcher).await;
        runs.look(&coordinator);
        runs.compare(&coordinator, &*launcher).await;
    }
}

/// What is remembered of each run, to know when to look at it again.
#[derive(Debug, Default)]
struct Runs {
    known: BTreeMap<RunId, Known>,
    list_at: Option<Instant>,
    listing: Backoff,
}

#[derive(Debug)]
struct Known {
    /// As it lies on the desk; none if it does not.
    open: Option<OpenRun>,
    /// Whether it is known to have its final.
    over: bool,
    /// Slots that would be of use when it was compared last, and whether it was closed.
    compared_for: (u32, bool),
    due: Instant,
    backoff: Backoff,
    /// What the launcher sees.
    seen: String,
    /// Why it could not be compared.
    error: String,
}

/// What a comparison came to.
enum Compared {
    Slots(u32),
    Left(Leftover),
    /// On no desk and without a final, as far as this coordinator can see: not its business.
    NotOurs,
    /// The store does not say.
    Unknown,
}

impl Known {
    fn new() -> Self {
        Self {
            open: None,
            over: false,
            compared_for: (0, false),
            due: Instant::now(),
            backoff: Backoff::default(),
            seen: String::new(),
            error: String::new(),
        }
    }

    fn notice(&self) -> String {
        match (self.error.is_empty(), self.seen.is_empty()) {
            (true, _) => self.seen.clone(),
            (false, true) => self.error.clone(),
            (false, false) => format!("{}; {}", self.error, self.seen),
        }
    }
}

impl Runs {
    fn known(&mut self, run: &RunId) -> &mut Known {
        self.known.entry(run.clone()).or_insert_with(Known::new)
    }

    fn take_in(&mut self, coordinator: &Arc<Coordinator>, sighting: Sighting) {
        match sighting {
            Sighting::WorkerGone { run, host, class, reason, message } => {
                coordinator.worker_vanished(&run, &host, class, &reason, &message);
            }
            Sighting::Noticed { run, text } => {
                let known = self.known(&run);
                known.seen = text;
                coordinator.set_launch_notice(&run, known.notice());
            }
            Sighting::CannotGoOn { run, class, reason, message } => {
                tracing::warn!(%run, class = class.as_str(), reason, error = message, "workers cannot go on");
                coordinator.give_up(&run, class, &reason, message);
            }
            Sighting::Changed { run } => {
                let known = self.known(&run);
                if known.backoff.failures() == 0 {
                    known.due = Instant::now();
                }
            }
        }
    }

    /// Finds out of which runs something is there, so that what an earlier coordinator has left is
    /// tidied up.
    async fn list(&mut self, coordinator: &Coordinator, launcher: &dyn Launcher) {
        let now = Instant::now();
        if !coordinator.is_recovered() || self.list_at.is_some_and(|at| now < at) {
            return;
        }
        let listed = bounded(launcher.present()).await;
        match listed {
            Ok(runs) => {
                self.listing.reset();
                self.list_at = Some(now + LIST);
                for run in runs {
                    self.known(&run);
                }
            }
            Err(error) => {
                coordinator.launching().failed(error.reason());
                let pause = self.listing.pause(random());
                tracing::warn!(error = describe(&error), "what is launched cannot be listed");
                self.list_at = Some(now + pause);
            }
        }
    }

    /// Takes in how the runs stand on the desk.
    fn look(&mut self, coordinator: &Coordinator) {
        let open = coordinator.open_runs();
        let mut gone: Vec<RunId> = self
            .known
            .iter()
            .filter(|(_, known)| known.open.is_some())
            .map(|(run, _)| run.clone())
            .collect();
        for one in open {
            gone.retain(|run| run != one.run());
            let useful = (useful(&one), one.closed);
            let known = self.known(one.run());
            let came = known.open.is_none();
            // A run that comes back to the desk, such as one whose records were lost, is not over.
            known.over = false;
            let notice = (came && !known.notice().is_empty()).then(|| known.notice());
            if (came || useful != known.compared_for) && known.backoff.failures() == 0 {
                known.due = known.due.min(Instant::now());
            }
            let run = one.run().clone();
            known.open = Some(one);
            if let Some(notice) = notice {
                coordinator.set_launch_notice(&run, notice);
            }
        }
        for run in gone {
            let known = self.known(&run);
            known.open = None;
            known.backoff.reset();
            known.due = Instant::now();
        }
    }

    /// Compares the runs that are due.
    async fn compare(&mut self, coordinator: &Arc<Coordinator>, launcher: &dyn Launcher) {
        let now = Instant::now();
        let due = self.known.iter().filter(|(_, known)| known.due <= now);
        let due: Vec<_> =
            due.map(|(run, known)| (run.clone(), known.open.clone(), known.over)).collect();
        let compared: Vec<_> = futures::stream::iter(due)
            .map(|(run, open, over)| async move {
                let compared = compare_one(coordinator, launcher, &run, open.as_ref(), over);
                let compared = compared.await;
                (run, open, compared)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (run, open, compared) in compared {
            self.compared(coordinator, run, open.as_ref(), compared);
        }
    }

    fn compared(
        &mut self,
        coordinator: &Arc<Coordinator>,
        run: RunId,
        open: Option<&OpenRun>,
        compared: Result<Compared, LaunchError>,
    ) {
        let known = self.known(&run);
        let now = Instant::now();
        match compared {
            Ok(Compared::Slots(slots)) => {
                known.backoff.reset();
                let useful = open.map_or(slots, useful);
                let closed = open.is_some_and(|open| open.closed);
                known.compared_for = (useful, closed);
                // A closed run rests as soon as its last lease has ended.
                known.due = now + if slots > useful || closed { COMPARE_SURPLUS } else { COMPARE };
                if !std::mem::take(&mut known.error).is_empty() {
                    coordinator.set_launch_notice(&run, known.notice());
                }
            }
            Ok(Compared::Left(Leftover::LookAgain(after))) => {
                known.backoff.reset();
                known.over = true;
                known.due = now + after;
            }
            Ok(Compared::Left(Leftover::None)) => {
                self.known.remove(&run);
            }
            Ok(Compared::NotOurs) => known.due = now + LIST,
            Ok(Compared::Unknown) => known.due = now + COMPARE,
            Err(error) => {
                coordinator.launching().failed(error.reason());
                known.due = now + known.backoff.pause(random());
                let text = describe(&error);
                // Said once, then only when it is another error.
                if known.error != text {
                    tracing::warn!(%run, reason = error.reason(), error = text, "workers cannot be started");
                    known.error = text;
                    coordinator.set_launch_notice(&run, known.notice());
                }
                let idle = coordinator.busy_hosts(&run).is_empty();
                if error.is_final() && idle && open.is_some() {
                    let message = known.error.clone();
                    coordinator.give_up(&run, FailureClass::Config, "worker_job", message);
                }
            }
        }
    }
}

async fn compare_one(
    coordinator: &Arc<Coordinator>,
    launcher: &dyn Launcher,
    run: &RunId,
    open: Option<&OpenRun>,
    over: bool,
) -> Result<Compared, LaunchError> {
    if let Some(open) = open {
        if open.ending {
            // Its final is near; until then neither more nor fewer workers are of use.
            return Ok(Compared::Slots(useful(open)));
        }
        let wanted = Wanted {
            facts: Arc::clone(&open.facts),
            parallelism: parallelism(open),
            undecided: open.undecided,
            closed: open.closed,
            busy: coordinator.busy_hosts(run),
        };
        return bounded(launcher.converge(&wanted)).await.map(Compared::Slots);
    }
    match if over { Ok(true) } else { coordinator.is_over(run).await } {
        Ok(true) => bounded(launcher.over(run)).await.map(Compared::Left),
        Ok(false) => Ok(Compared::NotOurs),
        Err(error) => {
            tracing::warn!(%run, error = describe(&error), "whether the run is over is unknown");
            Ok(Compared::Unknown)
        }
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, LaunchError>>) -> Result<T, LaunchError> {
    match tokio::time::timeout(BOUND, call).await {
        Ok(answer) => answer,
        Err(_) => Err(LaunchError::Timeout { seconds: BOUND.as_secs() }),
    }
}

fn parallelism(open: &OpenRun) -> u32 {
    let workers = open.facts.outline.workers.as_ref();
    workers.map_or_else(|| Workers::default().parallelism, |workers| workers.parallelism)
}

fn useful(open: &OpenRun) -> u32 {
    let load = nightshift_core::slots::Load {
        parallelism: parallelism(open),
        undecided: open.undecided,
        busy: 0,
    };
    load.useful()
}

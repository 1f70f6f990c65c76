//! Workers as pods: an Indexed Job for each run.
//!
//! 1. `apply` makes a run's ConfigMap and Job, and changes the Job's slots.
//! 2. `watch` follows Jobs, pods and Events; `cluster` remembers what was seen and concludes.
//! 3. [`explain`] puts what Kubernetes does into words, `tell` repeats them as Events on the Job.
//!
//! Kubernetes objects are only a means. A Job that vanishes, conflicts or cannot be made costs
//! time; what is decided lies in the output.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use kube::{Client, ResourceExt};
use nightshift_core::ids::RunId;
use nightshift_core::record::FailureClass;
use nightshift_manifests::JobTemplate;
use nightshift_manifests::names::job_name;
use nightshift_manifests::worker_job::RUN_ANNOTATION;
use tokio::sync::mpsc;

use super::backoff::{Backoff, random};
use super::{Batches, LaunchError, Launcher, Leftover, Sighting, Wanted};

mod apply;
mod client;
mod cluster;
pub mod explain;
mod tell;
mod watch;

pub use client::{ConnectError, connect};

use apply::Objects;
use cluster::{Cluster, Seen};
use explain::{JobEnd, job_end, queue, rests};
use tell::Teller;

/// Who the coordinator is to the API server: field manager and reporter.
pub const MANAGER: &str = "nightshift-coordinator";
/// Who owns the number of slots of a Job.
pub const SLOTS_MANAGER: &str = "nightshift-slots";
/// How long the workers of a run with a final may take to end by themselves.
pub const GRACE: Duration = Duration::from_secs(60);
/// Time between two looks at a Job that has failed, while the words of its pod are waited for.
const LOOK_FOR_WORDS: Duration = Duration::from_millis(200);
/// How soon to look again at a Job that is being deleted.
const LOOK_DELETING: Duration = Duration::from_secs(5);
/// How soon to look again at a Job that has ended and waits for its TTL.
const LOOK_ENDED: Duration = Duration::from_secs(600);

/// What a launcher of Jobs is told.
#[derive(Debug)]
pub struct KubeSettings {
    /// Where the Jobs are made.
    pub namespace: String,
    /// What the Jobs are made of.
    pub template: JobTemplate,
    /// Image of the workers instead of the template's.
    pub image: Option<String>,
    /// Where the workers find their coordinator.
    pub advertise: String,
    /// How long the workers of a run with a final may take to end by themselves.
    pub grace: Duration,
    /// With which batches a pod worked, for who wants to know why it had not enough memory.
    pub batches: Batches,
}

/// Starts workers as pods.
#[derive(Debug)]
pub struct KubeLauncher {
    objects: Objects,
    view: Arc<View>,
    grace: Duration,
    /// Since when runs with unfinished Jobs are known to be over.
    over_since: Mutex<BTreeMap<RunId, Instant>>,
    /// Runs whose Jobs were complete too early, and when another may be made.
    fruitless: Mutex<BTreeMap<RunId, (Backoff, Instant)>>,
}

/// What was seen, and where it is passed on to.
#[derive(Debug)]
struct View {
    cluster: Mutex<Cluster>,
    sightings: mpsc::Sender<Sighting>,
    teller: Teller,
}

impl View {
    /// Changes what was seen, and passes on what follows from it.
    async fn see(&self, see: impl FnOnce(&mut Cluster, Instant) -> Seen) {
        let seen = {
            let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            see(&mut cluster, Instant::now())
        };
        for told in seen.tell {
            self.teller.tell(told);
        }
        for sighting in seen.sightings {
            // Nobody listens only while the process ends.
            let _ = self.sightings.send(sighting).await;
        }
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KubeLauncher {
    /// A launcher that watches what it has started, and the receiver of what it sees.
    pub fn start(client: Client, settings: KubeSettings) -> (Arc<Self>, mpsc::Receiver<Sighting>) {
        let (sightings, seen) = mpsc::channel(super::SIGHTINGS_MAX);
        let teller = Teller::start(client.clone());
        let cluster = Mutex::new(Cluster::new(settings.batches.clone()));
        let view = Arc::new(View { cluster, sightings, teller });
        watch::start(&client, &settings.namespace, &view);
        let grace = settings.grace;
        let objects = Objects::new(client, settings);
        let (over_since, fruitless) = (Mutex::default(), Mutex::default());
        (Arc::new(Self { objects, view, grace, over_since, fruitless }), seen)
    }

    /// A Job that exists, for a run that wants workers.
    async fn adjust(&self, wanted: &Wanted, job: &Job) -> Result<u32, LaunchError> {
        let run = wanted.run();
        let now = slots_of(job);
        if job.metadata.deletion_timestamp.is_some() {
            // What comes after it is decided when it is gone.
            return Ok(now);
        }
        self.view.see(|cluster, at| cluster.job_applied(job, at)).await;
        match job_end(job) {
            Some(JobEnd::Complete) => {
                // A worker said that the run is over, but it is not: the image is of something
                // else, or a store was put back to an earlier state.
                self.delete(run, job).await?;
                let mut fruitless = self.fruitless();
                let (pauses, again) =
                    fruitless.entry(run.clone()).or_insert((Backoff::default(), Instant::now()));
                *again = Instant::now() + pauses.pause(random());
                return Err(LaunchError::Fruitless { job: job_name(run) });
            }
            Some(JobEnd::Failed(_)) => {
                if self.view.cluster().awaits_words(run, Instant::now()) {
                    // The next look comes at once, and shall not ask as fast as it can.
                    tokio::time::sleep(LOOK_FOR_WORDS).await;
                }
                // Watching has told the rest.
                return Ok(now);
            }
            None => {}
        }
        if queue(job).is_some() {
            // Kueue has reserved room for that many pods.
            return Ok(now);
        }
        let slots = wanted.load(slot_of).slots(Some(now));
        let spec = job.spec.as_ref();
        let parallelism = spec.and_then(|spec| spec.parallelism);
        // A suspended Job has no pods, so its room in the cluster is free until it goes on. One that
        // somebody else has suspended stays so.
        let suspended = spec.and_then(|spec| spec.suspend).unwrap_or(false);
        let rested = rests(job);
        let rests = wanted.rests() && (rested || !suspended);
        if slots != now || parallelism != i32::try_from(now).ok() || rested != rests {
            self.objects.scale(run, slots, rests).await?;
            tracing::info!(%run, from = now, slots, rests, undecided = wanted.undecided, "slots changed");
        }
        Ok(slots)
    }

    async fn delete(&self, run: &RunId, job: &Job) -> Result<(), LaunchError> {
        self.view.cluster().deleting(&job.uid().unwrap_or_default());
        self.objects.delete_job(run, job).await
    }

    /// The Job of the run, if there is one; refused if there is one of something else.
    async fn job(&self, run: &RunId) -> Result<Option<Job>, LaunchError> {
        let job = self.objects.job(run).await?;
        if job.as_ref().is_some_and(|job| run_of(job.annotations()).as_ref() != Some(run)) {
            return Err(LaunchError::Foreign { job: job_name(run) });
        }
        Ok(job)
    }
}

#[async_trait]
impl Launcher for KubeLauncher {
    async fn converge(&self, wanted: &Wanted) -> Result<u32, LaunchError> {
        let run = wanted.run();
        self.over_since().remove(run);
        if let Some(job) = self.job(run).await? {
            return self.adjust(wanted, &job).await;
        }
        if self.view.cluster().knows_job(run) {
            // It was there and we did not delete it. Watching will see that too.
            self.view.see(|cluster, at| cluster.job_missing(run, at)).await;
            return Ok(0);
        }
        if self.view.cluster().is_cancelled(run) {
            // Watching saw it first, and its run is about to end.
            return Ok(0);
        }
        if wanted.rests() {
            return Ok(0);
        }
        if self.fruitless().get(run).is_some_and(|(_, again)| Instant::now() < *again) {
            return Err(LaunchError::Fruitless { job: job_name(run) });
        }
        let slots = wanted.load(slot_of).slots(None);
        let job = self.objects.create(wanted, slots).await?;
        self.view.see(|cluster, at| cluster.job_applied(&job, at)).await;
        tracing::info!(%run, job = job_name(run), slots, "Job made");
        Ok(slots)
    }

    async fn over(&self, run: &RunId) -> Result<Leftover, LaunchError> {
        let job = match self.job(run).await {
            Err(LaunchError::Foreign { .. }) => None,
            job => job?,
        };
        let Some(job) = job else {
            self.objects.delete_config_map(run).await?;
            self.over_since().remove(run);
            self.fruitless().remove(run);
            self.view.cluster().forget(run);
            return Ok(Leftover::None);
        };
        if job.metadata.deletion_timestamp.is_some() {
            return Ok(Leftover::LookAgain(LOOK_DELETING));
        }
        if job_end(&job).is_some() {
            return Ok(Leftover::LookAgain(LOOK_ENDED));
        }
        let since = *self.over_since().entry(run.clone()).or_insert_with(Instant::now);
        let left = self.grace.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Leftover::LookAgain(left));
        }
        // Its workers were told; those that never began cannot be.
        tracing::info!(%run, "the run is over and its Job is not: deleting it");
        self.delete(run, &job).await?;
        Ok(Leftover::LookAgain(LOOK_DELETING))
    }

    async fn present(&self) -> Result<Vec<RunId>, LaunchError> {
        self.objects.present().await
    }

    async fn end(&self) {}
}

impl KubeLauncher {
    fn over_since(&self) -> MutexGuard<'_, BTreeMap<RunId, Instant>> {
        self.over_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fruitless(&self) -> MutexGuard<'_, BTreeMap<RunId, (Backoff, Instant)>> {
        self.fruitless.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the Job of a run that is deleted by somebody ends the run.
fn deleted_by_somebody(run: RunId) -> Sighting {
    Sighting::CannotGoOn {
        run,
        class: FailureClass::Cancelled,
        reason: "cancelled".to_owned(),
        message: "its Job was deleted in the cluster; `nightshift retry` goes on".to_owned(),
    }
}

/// The run that an object says it is of.
fn run_of(annotations: &BTreeMap<String, String>) -> Option<RunId> {
    annotations.get(RUN_ANNOTATION)?.parse().ok()
}

fn slots_of(job: &Job) -> u32 {
    let completions = job.spec.as_ref().and_then(|spec| spec.completions);
    completions.and_then(|slots| u32::try_from(slots).ok()).unwrap_or(0)
}

/// The slot of a pod, whose name is `<job>-<index>-<random>`.
fn slot_of(pod: &str) -> Option<u32> {
    pod.rsplit('-').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_says_its_slot() {
        assert_eq!(slot_of("flights-2013-01-01-g1-17-x7k2p"), Some(17));
        assert_eq!(slot_of("flights"), None);
        assert_eq!(slot_of("my-host"), None);
        assert_eq!(slot_of(""), None);
    }
}

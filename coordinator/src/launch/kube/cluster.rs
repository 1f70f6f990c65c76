//! What was seen of Jobs and pods, and what follows from it. Synchronous, without any client.
//!
//! It is a memory of the watches alone: when the process ends it is lost, and the first listing
//! fills it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, ObjectReference, Pod};
use kube::{Resource, ResourceExt};
use nightshift_core::ids::RunId;
use nightshift_core::record::FailureClass;

use super::explain::{self, Explanation, JobEnd};
use super::tell::Told;
use super::{deleted_by_somebody, run_of};
use crate::launch::{Batches, OOM_KILLED, Sighting};

mod notice;

/// How long the end of a pod is the news of its run.
const NEWS: Duration = Duration::from_secs(600);
/// How long the same explanation is not told again about the same Job.
const TOLD_AGAIN: Duration = Duration::from_secs(300);
/// How long the pod that failed a Job is waited for once the Job has failed: Jobs and pods are two
/// watches, and either may be late.
const WORDS_WAIT: Duration = Duration::from_secs(2);
/// Objects that Events were about and that are not known yet.
const REFUSALS_MAX: usize = 1_000;

/// What follows from something that was seen.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) sightings: Vec<Sighting>,
    pub(super) tell: Vec<Told>,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    jobs: BTreeMap<RunId, JobSeen>,
    /// By uid.
    pods: BTreeMap<String, PodSeen>,
    /// Objects named by a listing that is under way.
    jobs_listed: Option<BTreeSet<RunId>>,
    pods_listed: Option<BTreeSet<String>>,
    /// Whether a first listing is done: what is found by it is no news.
    pods_known: bool,
    /// Jobs that this process has deleted, by uid.
    deleting: BTreeSet<String>,
    /// Runs whose Job somebody else has deleted: they get no other.
    cancelled: BTreeSet<RunId>,
    /// Why pods of a Job are not made, or a pod does not begin, by uid of what it is about.
    refusals: BTreeMap<String, Explanation>,
    /// How pods ended lately.
    deaths: BTreeMap<RunId, (Instant, Explanation)>,
    /// How a pod ended because of its configuration.
    misconfigured: BTreeMap<RunId, Explanation>,
    notices: BTreeMap<RunId, String>,
    told: BTreeMap<(String, String), Instant>,
    batches: Batches,
}

#[derive(Debug)]
struct JobSeen {
    uid: String,
    about: ObjectReference,
    parallelism: usize,
    /// It starts no more pods.
    ended: bool,
    /// The end of its run was told.
    told_end: bool,
    /// Since when it is known to have failed, while its pod's own words are waited for.
    failed_since: Option<Instant>,
    suspended: Option<Explanation>,
}

#[derive(Debug)]
struct PodSeen {
    run: RunId,
    name: String,
    job: String,
    /// Its worker has ended, and that was told.
    over: bool,
    pending: bool,
    trouble: Option<Explanation>,
}

impl Cluster {
    /// Nothing was seen yet; `batches` is asked about pods that had not enough memory.
    pub(super) fn new(batches: Batches) -> Self {
        Self { batches, ..Self::default() }
    }

    // === Jobs ===

    /// Whether a Job of the run was seen that is not known to be gone.
    pub(super) fn knows_job(&self, run: &RunId) -> bool {
        self.jobs.get(run).is_some_and(|job| !self.deleting.contains(&job.uid))
    }

    /// Whether the Job of the run has failed and the words of its pod are waited for.
    pub(super) fn awaits_words(&self, run: &RunId, now: Instant) -> bool {
        let waits = |job: &JobSeen| {
            job.failed_since.is_some() && !job.told_end && job.may_be_explained(now)
        };
        self.jobs.get(run).is_some_and(waits)
    }

    /// Whether somebody else has deleted the Job of the run.
    pub(super) fn is_cancelled(&self, run: &RunId) -> bool {
        self.cancelled.contains(run)
    }

    /// This process is about to delete the Job of this uid.
    pub(super) fn deleting(&mut self, uid: &str) {
        self.deleting.insert(uid.to_owned());
    }

    /// Nothing of the run is of interest any more.
    pub(super) fn forget(&mut self, run: &RunId) {
        if let Some(job) = self.jobs.remove(run) {
            self.deleting.remove(&job.uid);
            self.refusals.remove(&job.uid);
            self.told.retain(|(uid, _), _| *uid != job.uid);
        }
        self.cancelled.remove(run);
        self.deaths.remove(run);
        self.misconfigured.remove(run);
        self.notices.remove(run);
    }

    pub(super) fn jobs_listing(&mut self) -> Seen {
        self.jobs_listed = Some(BTreeSet::new());
        Seen::default()
    }

    pub(super) fn jobs_listed(&mut self, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let Some(listed) = self.jobs_listed.take() else { return seen };
        let gone: Vec<RunId> =
            self.jobs.keys().filter(|run| !listed.contains(run)).cloned().collect();
        for run in gone {
            let more = self.job_missing(&run, now);
            seen.sightings.extend(more.sightings);
        }
        seen
    }

    pub(super) fn job_applied(&mut self, job: &Job, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let (Some(run), Some(uid)) = (run_of(job.annotations()), job.uid()) else { return seen };
        if let Some(listed) = &mut self.jobs_listed {
            listed.insert(run.clone());
        }
        let before = self.jobs.get(&run).filter(|known| known.uid == uid);
        let told_end = before.is_some_and(|known| known.told_end);
        let failed_since = before.and_then(|known| known.failed_since);
        let end = explain::job_end(job);
        let parallelism = job.spec.as_ref().and_then(|spec| spec.parallelism).unwrap_or(1);
        let mut known = JobSeen {
            uid,
            about: about(job),
            parallelism: usize::try_from(parallelism).unwrap_or(0),
            ended: end.is_some(),
            told_end,
            failed_since: failed_since.or_else(|| has_failed(job).then_some(now)),
            suspended: explain::suspended(job),
        };
        if let (Some(JobEnd::Failed(why)), false) = (end, told_end) {
            let why = match self.misconfigured.get(&run) {
                Some(first) if why.class == FailureClass::Config => Some(first.clone()),
                // The pod that failed may be seen in a moment, and says more.
                None if why.class == FailureClass::Config && known.may_be_explained(now) => {
                    if known.failed_since.is_some() {
                        // Nothing more will be seen of the Job itself.
                        seen.sightings.push(Sighting::Changed { run: run.clone() });
                    }
                    None
                }
                _ => Some(why),
            };
            if let Some(Explanation { reason, class, text }) = why {
                known.told_end = true;
                let run = run.clone();
                seen.sightings.push(Sighting::CannotGoOn { run, class, reason, message: text });
            }
        }
        self.jobs.insert(run.clone(), known);
        self.notice(&run, now, &mut seen);
        seen
    }

    pub(super) fn job_deleted(&mut self, job: &Job, now: Instant) -> Seen {
        let Some(run) = run_of(job.annotations()) else { return Seen::default() };
        // A Job that was replaced already is another one.
        if self.jobs.get(&run).is_some_and(|known| Some(&known.uid) != job.uid().as_ref()) {
            return Seen::default();
        }
        self.job_missing(&run, now)
    }

    /// The Job of a run is there no more.
    pub(super) fn job_missing(&mut self, run: &RunId, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let Some(job) = self.jobs.remove(run) else { return seen };
        let ours = self.deleting.remove(&job.uid);
        self.refusals.remove(&job.uid);
        self.told.retain(|(uid, _), _| *uid != job.uid);
        // One that has ended is deleted by its TTL.
        if !ours && !job.ended {
            self.cancelled.insert(run.clone());
            seen.sightings.push(deleted_by_somebody(run.clone()));
        }
        seen.sightings.push(Sighting::Changed { run: run.clone() });
        self.notice(run, now, &mut seen);
        seen
    }

    // === pods ===

    pub(super) fn pods_listing(&mut self) -> Seen {
        self.pods_listed = Some(BTreeSet::new());
        Seen::default()
    }

    pub(super) fn pods_listed(&mut self, now: Instant) -> Seen {
        let mut seen = Seen::default();
        self.pods_known = true;
        let Some(listed) = self.pods_listed.take() else { return seen };
        let gone: Vec<String> =
            self.pods.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
        for uid in gone {
            let why = self.pods.get(&uid).map(|pod| Explanation {
                reason: "deleted".to_owned(),
                class: FailureClass::Preempted,
                text: format!("pod {} is gone", pod.name),
            });
            self.pod_gone(&uid, why, now, &mut seen);
        }
        seen
    }

    pub(super) fn pod_applied(&mut self, pod: &Pod, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let (Some(run), Some(uid)) = (run_of(pod.annotations()), pod.uid()) else { return seen };
        if let Some(listed) = &mut self.pods_listed {
            listed.insert(uid.clone());
        }
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let pending = matches!(phase, None | Some("Pending"));
        if !pending {
            self.refusals.remove(&uid);
        }
        let known = self.pods.entry(uid.clone()).or_insert_with(|| PodSeen {
            run: run.clone(),
            name: pod.name_any(),
            job: job_of(pod),
            over: false,
            pending,
            trouble: None,
        });
        known.pending = pending;
        match explain::pod_end(pod) {
            Some(why) => self.pod_over(&uid, why, now, &mut seen),
            None => known.trouble = explain::pod(pod),
        }
        self.notice(&run, now, &mut seen);
        seen
    }

    pub(super) fn pod_deleted(&mut self, pod: &Pod, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let Some(uid) = pod.uid() else { return seen };
        let why = explain::pod_end(pod).unwrap_or_else(|| explain::deleted(pod));
        self.pod_gone(&uid, Some(why), now, &mut seen);
        seen
    }

    fn pod_gone(&mut self, uid: &str, why: Option<Explanation>, now: Instant, seen: &mut Seen) {
        if let Some(why) = why {
            self.pod_over(uid, why, now, seen);
        }
        self.refusals.remove(uid);
        let Some(pod) = self.pods.remove(uid) else { return };
        self.notice(&pod.run, now, seen);
    }

    /// The worker of a pod works no more.
    fn pod_over(&mut self, uid: &str, mut why: Explanation, now: Instant, seen: &mut Seen) {
        let Some(pod) = self.pods.get_mut(uid) else { return };
        pod.trouble = None;
        if std::mem::replace(&mut pod.over, true) {
            return;
        }
        let (run, host) = (pod.run.clone(), pod.name.clone());
        if why.reason == OOM_KILLED {
            // Asked before anybody is told that it is gone, which ends its leases.
            let batches = explain::batches(self.batches.of(&run, &host));
            why.text = format!("{}; {batches}", why.text);
        }
        if why.class == FailureClass::Config {
            self.misconfigured.entry(run.clone()).or_insert_with(|| why.clone());
        }
        if self.pods_known && why.is_news() {
            self.deaths.insert(run.clone(), (now, why.clone()));
        }
        let Explanation { reason, class, text: message } = why;
        seen.sightings.push(Sighting::WorkerGone {
            run: run.clone(),
            host,
            class,
            reason,
            message,
        });
        seen.sightings.push(Sighting::Changed { run });
    }

    // === Events ===

    pub(super) fn event_seen(&mut self, event: &Event, now: Instant) -> Seen {
        let mut seen = Seen::default();
        let Some(why) = explain::event(event) else { return seen };
        let Some(uid) = event.involved_object.uid.clone() else { return seen };
        while self.refusals.len() >= REFUSALS_MAX {
            self.refusals.pop_first();
        }
        self.refusals.insert(uid.clone(), why);
        let job = self.jobs.iter().find(|(_, job)| job.uid == uid).map(|(run, _)| run.clone());
        let pod = || self.pods.get(&uid).map(|pod| pod.run.clone());
        if let Some(run) = job.or_else(pod) {
            self.notice(&run, now, &mut seen);
        }
        seen
    }
}

impl JobSeen {
    /// Whether the words of the pod that made it fail may still come.
    fn may_be_explained(&self, now: Instant) -> bool {
        self.failed_since.is_none_or(|since| now.duration_since(since) < WORDS_WAIT)
    }
}

/// Whether the Job has failed for good, and not only begun to.
fn has_failed(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .is_some_and(|all| all.iter().any(|one| one.type_ == "Failed" && one.status == "True"))
}

fn about(job: &Job) -> ObjectReference {
    ObjectReference {
        api_version: Some("batch/v1".to_owned()),
        kind: Some("Job".to_owned()),
        name: job.metadata.name.clone(),
        namespace: job.metadata.namespace.clone(),
        uid: job.metadata.uid.clone(),
        resource_version: None,
        field_path: None,
    }
}

/// Uid of the Job that owns a pod.
fn job_of(pod: &Pod) -> String {
    let mut owners = pod.meta().owner_references.iter().flatten();
    owners.find(|owner| owner.kind == "Job").map(|owner| owner.uid.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

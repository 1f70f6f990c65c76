//! How a Job ended, or why it does not begin.

use k8s_openapi::api::batch::v1::Job;
use nightshift_core::record::FailureClass;

use super::super::SLOTS_MANAGER;
use super::{Explanation, queue};

/// The end of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// A worker has said that the run is over.
    Complete,
    /// No more pods are started.
    Failed(Explanation),
}

/// How a Job has ended, or is certain to end; none while it may start pods.
pub fn job_end(job: &Job) -> Option<JobEnd> {
    let conditions = job.status.as_ref()?.conditions.as_deref().unwrap_or_default();
    let is = |kind: &str| {
        conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
    };
    if is("Complete").is_some() || is("SuccessCriteriaMet").is_some() {
        return Some(JobEnd::Complete);
    }
    let failed = is("Failed").or_else(|| is("FailureTarget"))?;
    let words = failed.message.as_deref().unwrap_or("no reason given");
    let kubernetes = failed.reason.as_deref().unwrap_or("Failed");
    let (reason, class, what) = match kubernetes {
        "PodFailurePolicy" => (
            "job_policy",
            FailureClass::Config,
            "was ended by its podFailurePolicy, because no further worker could do better",
        ),
        "BackoffLimitExceeded" | "FailedIndexes" | "MaxFailedIndexesExceeded" => (
            "backoff_limit",
            FailureClass::Lost,
            "starts no more workers, because they failed too often",
        ),
        "DeadlineExceeded" => (
            "deadline_exceeded",
            FailureClass::Lost,
            "has run longer than its activeDeadlineSeconds",
        ),
        _ => ("job_failed", FailureClass::Lost, "has failed"),
    };
    let name = job.metadata.name.as_deref().unwrap_or("?");
    let text = format!("Job {name} {what} ({kubernetes}): {words}; `nightshift retry` goes on");
    Some(JobEnd::Failed(Explanation::new(reason, class, text)))
}

/// Whether a Job is suspended because its run is outside of its window. Who owns the field tells: a
/// Job that a person or Kueue suspends is left alone.
pub fn rests(job: &Job) -> bool {
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    let mut owners = job.metadata.managed_fields.iter().flatten();
    suspended
        && owners.any(|owner| {
            let fields = owner.fields_v1.as_ref().map(|fields| &fields.0);
            owner.manager.as_deref() == Some(SLOTS_MANAGER)
                && fields.is_some_and(|fields| fields["f:spec"]["f:suspend"].is_object())
        })
}

/// Why a Job has no pods although nothing went wrong: somebody has suspended it.
pub fn suspended(job: &Job) -> Option<Explanation> {
    if job.spec.as_ref()?.suspend != Some(true) || rests(job) {
        return None;
    }
    let name = job.metadata.name.as_deref().unwrap_or("?");
    let (reason, text) = match queue(job) {
        Some(queue) => (
            "queued",
            format!("Job {name} waits in the Kueue queue {queue} until there is room for it"),
        ),
        None => (
            "suspended",
            format!("Job {name} is suspended; set its spec.suspend to false to go on"),
        ),
    };
    Some(Explanation::new(reason, FailureClass::Preempted, text))
}

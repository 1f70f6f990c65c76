//! What Kubernetes does with a run's workers, in words: from pods, Jobs and Events to one line.
//!
//! Pure functions over what the API server says. Each gives a short reason, the kind of failure
//! that it means for the attempts of a worker, and a text that names the object, repeats the
//! words of Kubernetes and says what to do.

use std::num::NonZeroU32;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
    PodCondition,
};
use nightshift_core::last_words::LastWords;
use nightshift_core::lease::{BATCH_ROWS, smaller_batch};
use nightshift_core::record::FailureClass;
use nightshift_manifests::template::WORKER;

use crate::launch::OOM_KILLED;
use crate::launch::exit::{class_of_exit, meaning_of_exit};

mod event;
mod job;

pub use event::{denied, event};
pub use job::{JobEnd, job_end, rests, suspended};

/// Reasons of pods that had to go for somebody else's sake.
const DISRUPTED: [&str; 4] = ["evicted", "preempted", "node_lost", "disrupted"];

/// What happened, why, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Short name: `a-z`, `0-9` and `_`.
    pub reason: String,
    /// What it means for the attempts of the worker.
    pub class: FailureClass,
    /// For people.
    pub text: String,
}

impl Explanation {
    fn new(reason: &str, class: FailureClass, text: String) -> Self {
        Self { reason: reason.to_owned(), class, text }
    }

    /// Whether people want to know of the end of a pod: unless it ended well, or was asked to, as
    /// when slots are lowered. An eviction counts nothing, but explains why a run is slow.
    pub fn is_news(&self) -> bool {
        self.class != FailureClass::Preempted || DISRUPTED.contains(&self.reason.as_str())
    }
}

/// Why the worker of a pod does not run, or runs no more; none while all is well.
pub fn pod(pod: &Pod) -> Option<Explanation> {
    pod_end(pod).or_else(|| pod_trouble(pod))
}

/// How the worker of a pod has ended; none while it may still work.
pub fn pod_end(pod: &Pod) -> Option<Explanation> {
    let name = name(pod);
    let status = pod.status.as_ref()?;
    let phase = status.phase.as_deref().unwrap_or_default();
    let over = matches!(phase, "Failed" | "Succeeded");
    let terminated = worker_state(pod).and_then(|state| state.terminated.as_ref());
    if terminated.is_none() && !over {
        return None;
    }
    // An eviction kills containers in passing: why it happened says more than how.
    if status.reason.as_deref() == Some("Evicted") {
        let words = status.message.as_deref().unwrap_or("no reason given");
        let text = format!("pod {name} was evicted from {}: {words}", node(pod));
        return Some(Explanation::new("evicted", FailureClass::Preempted, text));
    }
    if let Some(target) = condition(pod, "DisruptionTarget").filter(|c| c.status == "True") {
        return Some(disrupted(pod, target));
    }
    let Some(terminated) = terminated else {
        let words = status.message.as_deref().or(status.reason.as_deref()).unwrap_or(phase);
        let class = if phase == "Succeeded" { FailureClass::Preempted } else { FailureClass::Lost };
        let text = format!("pod {name} has ended: {words}");
        return Some(Explanation::new("pod_ended", class, text));
    };
    Some(ended(pod, terminated))
}

/// How the container `worker` has ended.
fn ended(pod: &Pod, terminated: &ContainerStateTerminated) -> Explanation {
    let name = name(pod);
    if terminated.reason.as_deref() == Some("OOMKilled") {
        let limit = match memory_limit(pod) {
            Some(limit) => format!("its limit of {limit}"),
            None => format!("what {} has left (it has no limit)", node(pod)),
        };
        let text = format!(
            "pod {name} was killed because it used more memory than {limit}; raise spec.workers.resources.limits.memory, `nightshift plan --resources` computes it"
        );
        return Explanation::new(OOM_KILLED, FailureClass::Lost, text);
    }
    let words = LastWords::parse(terminated.message.as_deref().unwrap_or_default());
    let class = class_of_exit(terminated.exit_code);
    let reason = words.reason.unwrap_or_else(|| match terminated.exit_code {
        0 => "completed".to_owned(),
        75 => "drained".to_owned(),
        code => format!("exit_{code}"),
    });
    let meaning = meaning_of_exit(terminated.exit_code);
    let text = match (words.message, terminated.reason.as_deref()) {
        (Some(message), _) => format!("pod {name} has ended ({meaning}): {message}"),
        (None, Some("Error" | "Completed") | None) => format!("pod {name} has ended ({meaning})"),
        (None, Some(reason)) => format!("pod {name} has ended ({meaning}): {reason}"),
    };
    Explanation { reason, class, text }
}

/// What a pod that used more memory than it had was working with: `learned` is the batch size that
/// its attempts were granted, where one had been learned.
pub fn batches(learned: Option<NonZeroU32>) -> String {
    let rows = learned.unwrap_or(BATCH_ROWS);
    let how = if learned.is_some() { "learned before" } else { "no smaller size was learned" };
    let next = smaller_batch(rows);
    let next = match next < rows {
        true => format!("the next attempts at its shards get {next}"),
        false => "smaller ones would not help".to_owned(),
    };
    format!("its batches had up to {rows} rows ({how}), {next}")
}

/// A pod that was chosen to go.
fn disrupted(pod: &Pod, target: &PodCondition) -> Explanation {
    let name = name(pod);
    let why = target.reason.as_deref().unwrap_or("DisruptionTarget");
    let words = target.message.as_deref().unwrap_or("no reason given");
    let (reason, what) = match why {
        "PreemptionByScheduler" | "PreemptionByKubeScheduler" => {
            ("preempted", "had to give way to a pod of higher priority")
        }
        "EvictionByEvictionAPI" => ("evicted", "was evicted, as when its node is drained"),
        "TerminationByKubelet" => ("evicted", "was ended by its node"),
        "DeletionByTaintManager" | "DeletionByPodGC" => ("node_lost", "was lost with its node"),
        _ => ("disrupted", "was chosen to go"),
    };
    let text = format!("pod {name} {what} ({why}): {words}");
    Explanation::new(reason, FailureClass::Preempted, text)
}

/// A pod that is no more, or is being removed, though its worker was not seen to end.
pub fn deleted(pod: &Pod) -> Explanation {
    if let Some(target) = condition(pod, "DisruptionTarget").filter(|c| c.status == "True") {
        return disrupted(pod, target);
    }
    let text = format!("pod {} was deleted", name(pod));
    Explanation::new("deleted", FailureClass::Preempted, text)
}

/// Why the worker of a pod does not begin, or is about to go.
fn pod_trouble(pod: &Pod) -> Option<Explanation> {
    let name = name(pod);
    if pod.metadata.deletion_timestamp.is_some() {
        // It is on its way out; where its node is silent it stays like that.
        let lost =
            pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some("NodeLost");
        let text = format!("pod {name} is to go, but {} does not answer", node(pod));
        return lost.then(|| Explanation::new("node_lost", FailureClass::Preempted, text));
    }
    let statuses = pod.status.iter().flat_map(|status| {
        status
            .container_statuses
            .iter()
            .flatten()
            .chain(status.init_container_statuses.iter().flatten())
    });
    for status in statuses {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        if let Some(explained) = waiting.and_then(|waiting| waits(pod, status, waiting)) {
            return Some(explained);
        }
    }
    let unschedulable =
        condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False")?;
    let words = unschedulable.message.as_deref().unwrap_or("no reason given");
    let gated = unschedulable.reason.as_deref() == Some("SchedulingGated");
    let (reason, what) = if gated {
        ("scheduling_gated", "waits for its scheduling gates")
    } else {
        ("unschedulable", "fits on no node")
    };
    let text = format!("pod {name} {what}: {words}");
    Some(Explanation::new(reason, FailureClass::Transient, text))
}

/// A container that waits for something that may never come.
fn waits(
    pod: &Pod,
    status: &ContainerStatus,
    waiting: &ContainerStateWaiting,
) -> Option<Explanation> {
    let (name, container) = (name(pod), status.name.as_str());
    let words = waiting.message.as_deref().unwrap_or("no reason given");
    let image = status.image.as_str();
    let kubernetes = waiting.reason.as_deref()?;
    let (reason, text) = match kubernetes {
        "ImagePullBackOff" | "ErrImagePull" | "ErrImageNeverPull" | "RegistryUnavailable" => (
            "image_pull",
            format!(
                "pod {name} cannot pull the image {image} of {container}: {words}; check the name and the pull secret"
            ),
        ),
        "InvalidImageName" => (
            "image_name",
            format!(
                "`{image}` is no name of an image (pod {name}, container {container}); correct spec.workers.image or the job template"
            ),
        ),
        "CreateContainerConfigError" => (
            "container_config",
            format!(
                "pod {name} cannot make its container {container}: {words}; create what it names, or correct the job template"
            ),
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" => (
            "container_start",
            format!("pod {name} cannot start its container {container} ({kubernetes}): {words}"),
        ),
        "CrashLoopBackOff" => (
            "crash_loop",
            format!(
                "container {container} of pod {name} crashes again and again ({} times): {}",
                status.restart_count,
                last_end(status, words)
            ),
        ),
        _ => return None,
    };
    Some(Explanation { reason: reason.to_owned(), class: FailureClass::Transient, text })
}

/// How a container that is started again and again has ended last.
fn last_end(status: &ContainerStatus, words: &str) -> String {
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let Some(last) = last else { return words.to_owned() };
    let said = LastWords::parse(last.message.as_deref().unwrap_or_default()).message;
    let meaning = meaning_of_exit(last.exit_code);
    match said.or_else(|| last.reason.clone()) {
        Some(said) => format!("{meaning}: {said}"),
        None => meaning,
    }
}

/// The exit code of the container `worker`, once it has one.
pub fn exit_code(pod: &Pod) -> Option<i32> {
    worker_state(pod)?.terminated.as_ref().map(|terminated| terminated.exit_code)
}

fn worker_state(pod: &Pod) -> Option<&ContainerState> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == WORKER)?.state.as_ref()
}

fn memory_limit(pod: &Pod) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let worker = containers.iter().find(|container| container.name == WORKER)?;
    Some(worker.resources.as_ref()?.limits.as_ref()?.get("memory")?.0.clone())
}

fn condition<'p>(pod: &'p Pod, kind: &str) -> Option<&'p PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or("?")
}

fn node(pod: &Pod) -> &str {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.unwrap_or("its node")
}

/// The queue of Kueue that a Job belongs to.
pub fn queue(job: &Job) -> Option<&str> {
    job.metadata.labels.as_ref()?.get("kueue.x-k8s.io/queue-name").map(String::as_str)
}

#[cfg(test)]
mod tests;

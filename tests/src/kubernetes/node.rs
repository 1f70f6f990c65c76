//! What becomes of pods: told by a test, or by real processes ([`processes`]).

pub mod processes;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::Kubernetes;
use super::object;

/// Annotation of a pod whose containers its node is to kill, and the reason that it gives.
pub(crate) const KILL: &str = "tests/kill";

/// A state of a pod that a test asks for.
#[derive(Debug, Clone)]
pub enum PodState {
    /// No node fits; the words of the scheduler.
    Unschedulable(String),
    /// A container waits, such as with `ImagePullBackOff`; reason and message.
    Waiting(String, String),
    /// It runs and is ready.
    Running,
    /// Its containers have exited with this code and this termination message.
    Exited(i64, String),
    /// Its first container was killed for want of memory.
    OomKilled,
    /// It was evicted by its node, and why.
    Evicted(String),
    /// It was disrupted, such as by `PreemptionByScheduler`, and has ended.
    Disrupted(String),
    /// Its node does not answer: the pod stays as it is and is not ready.
    NodeLost,
}

impl PodState {
    /// Puts a pod into this state.
    pub fn put(&self, pod: &mut Value, now: &str) {
        if !matches!(self, Self::Unschedulable(_)) {
            schedule(pod, now);
        }
        match self {
            Self::Unschedulable(words) => {
                condition(pod, "PodScheduled", false, ("Unschedulable", words), now);
            }
            Self::Waiting(reason, message) => {
                let state = json!({ "waiting": { "reason": reason, "message": message } });
                containers(pod, &state, false);
                condition(pod, "Ready", false, ("ContainersNotReady", ""), now);
            }
            Self::Running => {
                pod["status"]["phase"] = json!("Running");
                containers(pod, &json!({ "running": { "startedAt": now } }), true);
                for kind in ["Initialized", "ContainersReady", "Ready"] {
                    condition(pod, kind, true, ("", ""), now);
                }
            }
            Self::Exited(code, message) => {
                let reason = if *code == 0 { "Completed" } else { "Error" };
                end(pod, *code, reason, message, now);
            }
            Self::OomKilled => end(pod, 137, "OOMKilled", "", now),
            Self::Evicted(why) => {
                end(pod, 137, "Error", "", now);
                pod["status"]["reason"] = json!("Evicted");
                pod["status"]["message"] = json!(why);
                condition(pod, "DisruptionTarget", true, ("TerminationByKubelet", why), now);
            }
            Self::Disrupted(reason) => {
                end(pod, 143, "Error", "", now);
                condition(pod, "DisruptionTarget", true, (reason, "the pod was disrupted"), now);
            }
            Self::NodeLost => {
                pod["status"]["reason"] = json!("NodeLost");
                condition(
                    pod,
                    "Ready",
                    false,
                    ("NodeStatusUnknown", "the node does not answer"),
                    now,
                );
            }
        }
    }
}

/// Gives a pod to the node.
pub fn schedule(pod: &mut Value, now: &str) {
    object::default(&mut pod["spec"], "nodeName", json!("node-1"));
    object::default(&mut pod["status"], "startTime", json!(now));
    condition(pod, "PodScheduled", true, ("", ""), now);
}

pub(crate) fn condition(pod: &mut Value, kind: &str, is: bool, why: (&str, &str), now: &str) {
    let status = if is { "True" } else { "False" };
    let mut condition = json!({ "type": kind, "status": status });
    for (field, text) in [("reason", why.0), ("message", why.1)] {
        if !text.is_empty() {
            condition[field] = json!(text);
        }
    }
    object::set_condition(pod, condition, now);
}

fn containers(pod: &mut Value, state: &Value, ready: bool) {
    let status = |container: &Value| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "",
            "state": state, "lastState": {}, "ready": ready, "restartCount": 0, "started": ready,
        })
    };
    let all: Vec<Value> = object::list(pod, "/spec/containers").iter().map(status).collect();
    pod["status"]["containerStatuses"] = json!(all);
}

fn end(pod: &mut Value, code: i64, reason: &str, message: &str, now: &str) {
    let state = json!({ "terminated": {
        "exitCode": code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now,
    } });
    containers(pod, &state, false);
    pod["status"]["phase"] = json!(if code == 0 { "Succeeded" } else { "Failed" });
    let why = if code == 0 { "PodCompleted" } else { "PodFailed" };
    for kind in ["ContainersReady", "Ready"] {
        condition(pod, kind, false, (why, ""), now);
    }
}

impl Kubernetes {
    /// Puts a pod into a state; fails where there is none.
    pub fn set_pod(&self, namespace: &str, name: &str, state: &PodState) {
        let now = self.shared.clock.stamp();
        assert!(self.change("pods", namespace, name, |pod| state.put(pod, &now)), "no pod {name}");
    }

    /// Ends a pod that was told to end, as its node does: 143 unless it has ended already.
    pub fn end_pod(&self, namespace: &str, name: &str) {
        let now = self.shared.clock.stamp();
        self.change("pods", namespace, name, |pod| {
            if !matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed") {
                PodState::Exited(143, String::new()).put(pod, &now);
            }
            if object::is_deleted(pod) {
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
        });
    }

    // === what happens to pods that run as processes ===

    /// Kills the containers of a pod for want of memory, as the kernel does.
    pub fn run_out_of_memory(&self, namespace: &str, name: &str) {
        let there = self.change("pods", namespace, name, |pod| {
            pod["metadata"]["annotations"][KILL] = json!("OOMKilled");
        });
        assert!(there, "no pod {name}");
    }

    /// Evicts a pod through the API, as the drain of its node does. It gets time to end.
    pub fn evict(&self, namespace: &str, name: &str) {
        let now = self.shared.clock.stamp();
        let why = ("EvictionByEvictionAPI", "Eviction API: evicting");
        self.change("pods", namespace, name, |pod| {
            condition(pod, "DisruptionTarget", true, why, &now);
        });
        self.delete("pods", namespace, name);
    }

    /// Gives the node an image that it did not have.
    pub fn add_image(&self, name: &str, program: PathBuf) {
        self.shared.offer.images.lock().unwrap().insert(name.to_owned(), program);
    }

    /// Sets how many pods the node has room for; those that it has already stay.
    pub fn set_room(&self, pods: usize) {
        self.shared.offer.room.store(pods, Ordering::SeqCst);
    }

    /// What the containers of this name have said so far, of each pod, also of those that are gone.
    pub fn logs(&self, container: &str) -> Vec<(String, String)> {
        let ending = format!("_{container}.log");
        let files = crate::store::names(&self.logs_folder(), "log").into_iter();
        let named = files.filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(&ending)?.to_owned();
            Some((name, std::fs::read_to_string(&path).unwrap()))
        });
        named.collect()
    }
}

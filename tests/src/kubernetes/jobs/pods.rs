//! The pods of a Job: which there are, which are wanted, how one is made.

use serde_json::{Value, json};

use super::verdict::{self, Verdict};
use super::{COMPONENT, Sync};
use crate::kubernetes::deletion::TRACKING;
use crate::kubernetes::faults::{Faults, Seen};
use crate::kubernetes::object::{self, array, map};
use crate::kubernetes::resource::Resource;
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::{defaults, validation};

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The completion index of a pod.
pub fn index(pod: &Value) -> Option<i64> {
    object::annotation(pod, INDEX)?.parse().ok()
}

fn is_over(pod: &Value) -> bool {
    matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Makes a pod; says why not, where it is refused.
pub fn create(
    store: &mut Store,
    faults: &Faults,
    job: &Value,
    index: Option<i64>,
    failures: i64,
) -> Result<(Key, Value), String> {
    let prefix = index
        .map_or(object::name(job).to_owned(), |index| format!("{}-{index}", object::name(job)));
    let prefix: String = prefix.chars().take(57).collect();
    let name = format!("{prefix}-{}", store.suffix());
    if let Some(decision) = faults.decide("create", "pods", &name)
        && let Seen::Refused(refused) = decision.seen
    {
        let message = refused.message.replacen("pods is", &format!("pods \"{name}\" is"), 1);
        return Err(message);
    }
    let mut pod = job["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    let metadata = map(&mut pod["metadata"]);
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("generateName".to_owned(), json!(format!("{prefix}-")));
    metadata.insert("namespace".to_owned(), json!(object::namespace(job)));
    object::add_finalizer(&mut pod, TRACKING);
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": object::name(job),
        "uid": object::uid(job), "controller": true, "blockOwnerDeletion": true,
    }]);
    if let Some(index) = index {
        pod["metadata"]["annotations"][INDEX] = json!(index.to_string());
        pod["metadata"]["labels"][INDEX] = json!(index.to_string());
        if job["spec"]["backoffLimitPerIndex"].is_i64() {
            let key = "batch.kubernetes.io/job-index-failure-count";
            pod["metadata"]["annotations"][key] = json!(failures.to_string());
        }
        pod["spec"]["hostname"] = json!(format!("{}-{index}", object::name(job)));
        name_index(&mut pod["spec"]);
    }
    let pods = Resource::named("pods");
    defaults::fill(pods, &mut pod);
    if let [problem, ..] = validation::problems(pods, &pod, None).as_slice() {
        return Err(format!("Pod \"{name}\" is invalid: {problem}"));
    }
    let key = Store::key(pods, object::namespace(job), &name);
    let pod = store.add(key.clone(), pod);
    Ok((key, pod))
}

/// Gives every container the variable with its index.
fn name_index(spec: &mut Value) {
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let variables = array(&mut container["env"]);
            if !variables.iter().any(|variable| variable["name"] == "JOB_COMPLETION_INDEX") {
                let path = format!("metadata.labels['{INDEX}']");
                let from = json!({ "fieldRef": { "apiVersion": "v1", "fieldPath": path } });
                variables.push(json!({ "name": "JOB_COMPLETION_INDEX", "valueFrom": from }));
            }
        }
    }
}

impl Sync {
    /// Whether its pods have indexes.
    pub fn is_indexed(&self) -> bool {
        self.job["spec"]["completionMode"] == "Indexed"
    }

    /// How many pods are to succeed.
    pub fn completions(&self) -> i64 {
        object::number(&self.job, "/spec/completions").unwrap_or(i64::MAX)
    }

    /// Pods that have not ended and are not told to.
    pub fn active(&self) -> impl Iterator<Item = &(Key, Value)> {
        self.pods.iter().filter(|(_, pod)| !is_over(pod) && !object::is_deleted(pod))
    }

    fn terminating(&self) -> impl Iterator<Item = &(Key, Value)> {
        self.pods.iter().filter(|(_, pod)| !is_over(pod) && object::is_deleted(pod))
    }

    /// Pods that are told to end and hold their place until they have.
    pub fn held(&self) -> usize {
        if self.waits_for_ends() { self.terminating().count() } else { 0 }
    }

    /// Whether a pod is replaced only when it has ended.
    pub fn waits_for_ends(&self) -> bool {
        self.job["spec"]["podReplacementPolicy"] == "Failed"
    }

    /// How many pods are to be active.
    pub fn wanted(&self) -> usize {
        let parallelism = object::number(&self.job, "/spec/parallelism").unwrap_or(1);
        let succeeded = object::number(&self.job, "/status/succeeded").unwrap_or(0);
        let rest = match object::number(&self.job, "/spec/completions") {
            Some(completions) => completions - succeeded,
            None if succeeded > 0 => self.active().count() as i64,
            None => parallelism,
        };
        usize::try_from(rest.min(parallelism).max(0)).unwrap()
    }

    /// Whether a pod has an index that the Job has no more.
    pub fn is_beyond(&self, pod: &Value) -> bool {
        self.is_indexed() && index(pod).is_none_or(|index| index >= self.completions())
    }

    /// The indexes that need a pod, lowest first.
    pub fn pending(&self) -> Vec<Option<i64>> {
        if !self.is_indexed() {
            return vec![None; self.wanted()];
        }
        let held = self.waits_for_ends();
        let ending: Vec<i64> = self.terminating().filter_map(|(_, pod)| index(pod)).collect();
        let active: Vec<i64> = self.active().filter_map(|(_, pod)| index(pod)).collect();
        (0..self.completions())
            .filter(|index| !self.succeeded.has(*index) && !self.failed.has(*index))
            .filter(|index| !(active.contains(index) || held && ending.contains(index)))
            .map(Some)
            .collect()
    }

    /// Removes active pods: those with an index beyond the last, then the highest, `surplus` in
    /// all if there are so many.
    pub fn remove(&mut self, store: &mut Store, surplus: usize) {
        let mut active: Vec<(Key, Value)> = self.active().cloned().collect();
        active.sort_by_key(|(_, pod)| std::cmp::Reverse(index(pod)));
        let beyond = active.iter().filter(|(_, pod)| self.is_beyond(pod)).count();
        for (key, pod) in active.into_iter().take(surplus.max(beyond)) {
            self.delete(store, &key, &pod);
        }
    }

    fn delete(&mut self, store: &mut Store, key: &Key, pod: &Value) {
        store.discard(key);
        let message = format!("Deleted pod: {}", object::name(pod));
        store.event(&self.job, COMPONENT, false, "SuccessfulDelete", &message);
        let after = store.get(key).cloned();
        self.pods.retain(|(known, _)| known != key);
        self.pods.extend(after.map(|pod| (key.clone(), pod)));
    }

    /// Writes the indexes into the status.
    pub fn note_indexes(&mut self) {
        let status = map(&mut self.job["status"]);
        if !self.succeeded.is_empty() || status.contains_key("completedIndexes") {
            status.insert("completedIndexes".to_owned(), json!(self.succeeded.to_string()));
            status.insert("succeeded".to_owned(), json!(self.succeeded.len()));
        }
        if !self.failed.is_empty() || status.contains_key("failedIndexes") {
            status.insert("failedIndexes".to_owned(), json!(self.failed.to_string()));
        }
    }

    /// Goes on with the end of a Job: its pods are told to end, and when they have it is over.
    pub fn end(mut self, store: &mut Store, verdict: &Verdict, counted: &[Key]) {
        let now = store.clock.stamp();
        let (interim, last) = match verdict.failed {
            true => ("FailureTarget", "Failed"),
            false => ("SuccessCriteriaMet", "Complete"),
        };
        let decided = verdict::condition(interim, &verdict.reason, &verdict.message);
        object::set_condition(&mut self.job, decided, &now);
        for (key, pod) in self.active().cloned().collect::<Vec<_>>() {
            self.delete(store, &key, &pod);
        }
        let over = self.terminating().count() == 0;
        if over {
            let condition = verdict::condition(last, &verdict.reason, &verdict.message);
            object::set_condition(&mut self.job, condition, &now);
            if verdict.failed {
                store.event(&self.job, COMPONENT, true, &verdict.reason, &verdict.message);
            } else {
                self.job["status"]["completionTime"] = json!(now);
                store.event(&self.job, COMPONENT, false, "Completed", "Job completed");
            }
        }
        self.write(store, counted);
    }

    /// Stores the status, and lets go of the pods that it counts.
    pub fn write(mut self, store: &mut Store, counted: &[Key]) {
        let ready = self.active().filter(|(_, pod)| object::condition(pod, "Ready").is_some());
        let (ready, active) = (ready.count(), self.active().count());
        let terminating = self.terminating().count();
        let status = map(&mut self.job["status"]);
        status.remove("active");
        if active > 0 {
            status.insert("active".to_owned(), json!(active));
        }
        status.insert("ready".to_owned(), json!(ready));
        status.insert("terminating".to_owned(), json!(terminating));
        status.insert("uncountedTerminatedPods".to_owned(), json!({}));
        let status = self.job["status"].take();
        store.change(&self.key, |job| job["status"] = status);
        for key in counted {
            store.change(key, |pod| object::remove_finalizer(pod, TRACKING));
        }
    }
}

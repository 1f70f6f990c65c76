//! The Job controller: one step looks at every Job and its pods and does what is to be done now.
//!
//! It decides in the order of the real one (`pkg/controller/job`): an end that was decided
//! before, the pod failure policy, the backoff limit, the deadline, limits for indexes, the
//! success policy; only then pods are made or removed.

pub mod indexes;
pub mod policy;
pub mod pods;
pub mod verdict;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock;
use super::deletion::TRACKING;
use super::faults::Faults;
use super::object;
use super::store::{Key, Store};
use indexes::Indexes;
use policy::Action;

/// Delay before a pod that failed is replaced, doubled with each failure in a row. The real one
/// is 10 s, of the same form.
const BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Name under which it writes Events.
const COMPONENT: &str = "job-controller";

/// What the controller remembers between its steps.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Failures of each index of each Job, and when it may be tried again.
    failures: BTreeMap<(String, i64), Failures>,
    /// Jobs whose pods could not be created, and when that is tried again.
    refused: BTreeMap<String, (u32, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    counted: i64,
    in_a_row: u32,
    again: Timestamp,
}

/// A Job and its pods, in one step.
#[derive(Debug)]
pub struct Sync {
    key: Key,
    job: Value,
    pods: Vec<(Key, Value)>,
    succeeded: Indexes,
    failed: Indexes,
}

fn delay(failures: u32) -> Duration {
    (BACKOFF * 2_u32.pow(failures.saturating_sub(1).min(10))).min(LONGEST_BACKOFF)
}

impl Jobs {
    /// Looks at every Job.
    pub fn step(&mut self, store: &mut Store, faults: &Faults) {
        let jobs: Vec<Key> = store.list("jobs", None).map(|(key, _)| key.clone()).collect();
        for key in jobs {
            let Some(job) = store.get(&key).cloned() else { continue };
            if object::condition(&job, "Complete").is_some()
                || object::condition(&job, "Failed").is_some()
            {
                expire(store, &key, &job);
            } else if job["spec"]["managedBy"]
                .as_str()
                .is_none_or(|by| by == "kubernetes.io/job-controller")
            {
                self.sync(store, faults, key, job);
            }
        }
    }

    fn sync(&mut self, store: &mut Store, faults: &Faults, key: Key, mut job: Value) {
        let uid = object::uid(&job).to_owned();
        let owned = store.list("pods", Some(&key.1));
        let owned = owned.filter(|(_, pod)| {
            object::controller(pod).is_some_and(|owner| owner["uid"] == uid.as_str())
        });
        let pods = owned.map(|(key, pod)| (key.clone(), pod.clone())).collect();
        let suspended = job["spec"]["suspend"] == true;
        if !suspended && job["status"]["startTime"].is_null() {
            job["status"]["startTime"] = json!(store.clock.stamp());
        }
        let limit = object::number(&job, "/spec/completions").unwrap_or(i64::MAX);
        let parse = |field: &str| Indexes::parse(object::text(&job["status"], field), limit);
        let (succeeded, failed) = (parse("/completedIndexes"), parse("/failedIndexes"));
        let mut sync = Sync { key, job, pods, succeeded, failed };
        let counted = self.count(&mut sync, store.clock.now());
        let verdict = verdict::of(&sync, &counted, store.clock.now());
        match verdict {
            Some(verdict) => sync.end(store, &verdict, &counted.pods),
            None => {
                self.manage(store, faults, &mut sync);
                sync.write(store, &counted.pods);
            }
        }
    }

    /// Counts the pods that have ended since the last step.
    fn count(&mut self, sync: &mut Sync, now: Timestamp) -> Counted {
        let mut counted = Counted::default();
        let uid = object::uid(&sync.job).to_owned();
        let limit = object::number(&sync.job, "/spec/backoffLimitPerIndex");
        let indexed = sync.is_indexed();
        let ended = sync.pods.iter().filter(|(_, pod)| object::has_finalizer(pod, TRACKING));
        for (key, pod) in ended {
            let index = pods::index(pod);
            let valid = !indexed || index.is_some_and(|index| index < sync.completions());
            // A pod that is to go counts as failed at once, unless its end is to be awaited.
            let gone = object::is_deleted(pod) && !sync.waits_for_ends();
            let phase = match object::text(pod, "/status/phase") {
                "Succeeded" => "Succeeded",
                _ if gone => "Failed",
                phase => phase,
            };
            match phase {
                "Succeeded" if valid => {
                    counted.succeeded += 1;
                    sync.succeeded.extend(index);
                    if let Some(index) = index {
                        self.failures.remove(&(uid.clone(), index));
                    }
                }
                "Failed" if valid => {
                    let action = policy::action(&sync.job, pod);
                    let at = (uid.clone(), index.unwrap_or(-1));
                    let counts = !matches!(action, Action::Ignore);
                    let known = self.failures.entry(at).or_insert(Failures {
                        counted: 0,
                        in_a_row: 0,
                        again: now,
                    });
                    known.in_a_row += 1;
                    known.again = now + delay(known.in_a_row);
                    if counts {
                        known.counted += 1;
                        counted.failed += 1;
                    }
                    let gone = limit.is_some_and(|limit| known.counted > limit);
                    if gone || matches!(action, Action::FailIndex) {
                        sync.failed.extend(index);
                    }
                    if let Action::FailJob(message) = action {
                        counted.fail_job.get_or_insert(message);
                    }
                }
                "Succeeded" | "Failed" => {}
                _ => continue,
            }
            counted.pods.push(key.clone());
        }
        let status = &mut sync.job["status"];
        let add = |status: &mut Value, field: &str, more: i64| {
            let known = status[field].as_i64().unwrap_or(0);
            if known + more > 0 || status[field].is_i64() {
                status[field] = json!(known + more);
            }
        };
        add(status, "failed", counted.failed);
        add(status, "succeeded", counted.succeeded);
        if indexed {
            sync.note_indexes();
        }
        counted
    }

    /// Makes and removes pods.
    fn manage(&mut self, store: &mut Store, faults: &Faults, sync: &mut Sync) {
        if object::is_deleted(&sync.job) {
            return;
        }
        let now = store.clock.stamp();
        let suspended = sync.job["spec"]["suspend"] == true;
        let was = object::condition(&sync.job, "Suspended").is_some();
        if suspended {
            if !was {
                let condition = verdict::condition("Suspended", "JobSuspended", "Job suspended");
                object::set_condition(&mut sync.job, condition, &now);
                object::map(&mut sync.job["status"]).remove("startTime");
                store.event(&sync.job, COMPONENT, false, "Suspended", "Job suspended");
            }
            sync.remove(store, usize::MAX);
            return;
        }
        if was {
            let mut condition = verdict::condition("Suspended", "JobResumed", "Job resumed");
            condition["status"] = json!("False");
            object::set_condition(&mut sync.job, condition, &now);
            sync.job["status"]["startTime"] = json!(now);
            store.event(&sync.job, COMPONENT, false, "Resumed", "Job resumed");
        }
        let active = sync.active().count();
        let wanted = sync.wanted();
        let surplus = active.saturating_sub(wanted);
        if surplus > 0 || sync.active().any(|(_, pod)| sync.is_beyond(pod)) {
            sync.remove(store, surplus);
            return;
        }
        self.create(store, faults, sync, wanted.saturating_sub(active + sync.held()));
    }

    fn create(&mut self, store: &mut Store, faults: &Faults, sync: &mut Sync, count: usize) {
        let uid = object::uid(&sync.job).to_owned();
        if self.refused.get(&uid).is_some_and(|(_, again)| store.clock.now() < *again) {
            return;
        }
        for index in sync.pending().into_iter().take(count) {
            let at = (uid.clone(), index.unwrap_or(-1));
            let known = self.failures.get(&at);
            if known.is_some_and(|known| store.clock.now() < known.again) {
                continue;
            }
            let failures = known.map_or(0, |known| known.counted);
            match pods::create(store, faults, &sync.job, index, failures) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", object::name(&pod.1));
                    store.event(&sync.job, COMPONENT, false, "SuccessfulCreate", &message);
                    sync.pods.push(pod);
                    self.refused.remove(&uid);
                }
                Err(message) => {
                    let message = format!("Error creating: {message}");
                    store.event(&sync.job, COMPONENT, true, "FailedCreate", &message);
                    let times = self.refused.get(&uid).map_or(1, |(times, _)| times + 1);
                    self.refused.insert(uid, (times, store.clock.now() + delay(times)));
                    return;
                }
            }
        }
    }
}

/// What a step counted.
#[derive(Debug, Default)]
pub struct Counted {
    /// Pods that the Job needs no more.
    pods: Vec<Key>,
    succeeded: i64,
    failed: i64,
    /// What a pod did that ends the Job.
    fail_job: Option<String>,
}

/// Deletes a Job whose time after its end is over.
fn expire(store: &mut Store, key: &Key, job: &Value) {
    let Some(ttl) = object::number(job, "/spec/ttlSecondsAfterFinished") else { return };
    let ended =
        ["Complete", "Failed"].iter().find_map(|kind| object::condition(job, kind)).unwrap();
    let ended = clock::parse(object::text(ended, "/lastTransitionTime")).unwrap();
    if !object::is_deleted(job) && store.clock.now().duration_since(ended).as_secs() >= ttl {
        store.discard_after_dependents(key);
    }
}

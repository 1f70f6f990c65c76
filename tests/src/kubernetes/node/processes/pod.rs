//! One pod: its sidecars start before its other containers and end after them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::container::Container;
use super::is_over;
use crate::kubernetes::node::{KILL, condition, schedule};
use crate::kubernetes::object;
use crate::kubernetes::shared::Shared;
use crate::kubernetes::store::Key;

/// A pod whose containers were started.
#[derive(Debug)]
pub(super) struct Pod {
    sidecars: Vec<Container>,
    containers: Vec<Container>,
    /// When it is killed, once it was told to end.
    killed_at: Option<Instant>,
    sidecars_told: bool,
}

impl Pod {
    /// Starts its containers.
    pub(super) fn start(
        shared: &Shared,
        folder: &Path,
        key: &Key,
        pod: &Value,
        images: BTreeMap<String, PathBuf>,
    ) -> Self {
        let now = shared.clock.stamp();
        let start = |spec: &Value| {
            let program = images[object::text(spec, "/image")].clone();
            Container::start(folder, pod, spec, program, &now)
        };
        let sidecars = object::list(pod, "/spec/initContainers").iter();
        let sidecars = sidecars.filter(|spec| spec["restartPolicy"] == "Always");
        let sidecars = sidecars.map(start).collect();
        let containers = object::list(pod, "/spec/containers").iter().map(start).collect();
        let new = Self { sidecars, containers, killed_at: None, sidecars_told: false };
        new.write(shared, key);
        new
    }

    /// Looks at its processes and does what is due; true where it is over.
    pub(super) fn look(&mut self, shared: &Shared, key: &Key, pod: &Value) -> bool {
        if is_over(pod) {
            // Its node has ended it at once, as where memory is short. Dropped, it is killed.
            if object::is_deleted(pod) {
                shared.write(|store| store.discard_now(key));
            }
            return true;
        }
        let kill = object::annotation(pod, KILL);
        if kill.is_some() {
            self.containers.iter().for_each(|container| container.signal(Signal::KILL));
        }
        if object::is_deleted(pod) && self.killed_at.is_none() {
            let grace = object::number(pod, "/metadata/deletionGracePeriodSeconds");
            self.containers.iter().for_each(|container| container.signal(Signal::TERM));
            self.killed_at = Some(end_of(grace));
        }
        let now = shared.clock.stamp();
        let all = self.sidecars.iter_mut().chain(&mut self.containers);
        let changed = all.map(|container| container.reap(kill, &now)).filter(|ended| *ended);
        let mut changed = changed.count() > 0;
        if self.containers.iter().all(Container::has_ended) {
            if !self.sidecars_told {
                self.sidecars_told = true;
                self.sidecars.iter().for_each(|sidecar| sidecar.signal(Signal::TERM));
                let grace = object::number(pod, "/spec/terminationGracePeriodSeconds");
                self.killed_at.get_or_insert(end_of(grace));
            }
        } else if self.killed_at.is_none() {
            for sidecar in self.sidecars.iter_mut().filter(|sidecar| sidecar.has_ended()) {
                sidecar.restart(pod, &now);
                changed = true;
            }
        }
        if self.killed_at.is_some_and(|at| Instant::now() >= at) {
            let all = self.sidecars.iter().chain(&self.containers);
            all.for_each(|container| container.signal(Signal::KILL));
        }
        if changed {
            self.write(shared, key);
        }
        let over = self.sidecars.iter().chain(&self.containers).all(Container::has_ended);
        if over && object::is_deleted(pod) {
            shared.write(|store| store.discard_now(key));
        }
        over
    }

    /// Writes how it is into its status.
    fn write(&self, shared: &Shared, key: &Key) {
        let now = shared.clock.stamp();
        let statuses =
            |list: &[Container]| -> Value { list.iter().map(Container::status).collect() };
        let all = || self.sidecars.iter().chain(&self.containers);
        let phase = match all().all(Container::has_ended) {
            false => "Running",
            true if self.containers.iter().all(|one| one.exit_code() == Some(0)) => "Succeeded",
            true => "Failed",
        };
        let ready = all().all(|container| !container.has_ended());
        shared.write(|store| {
            store.change(key, |pod| {
                schedule(pod, &now);
                pod["status"]["phase"] = json!(phase);
                pod["status"]["initContainerStatuses"] = statuses(&self.sidecars);
                pod["status"]["containerStatuses"] = statuses(&self.containers);
                condition(pod, "Initialized", true, ("", ""), &now);
                for kind in ["ContainersReady", "Ready"] {
                    condition(pod, kind, ready, ("", ""), &now);
                }
            })
        });
    }
}

/// When a pod that is told to end now is killed.
fn end_of(grace: Option<i64>) -> Instant {
    Instant::now() + Duration::from_secs(grace.and_then(|s| u64::try_from(s).ok()).unwrap_or(0))
}

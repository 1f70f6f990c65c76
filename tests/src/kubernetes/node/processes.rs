//! A node that runs the containers of pods as processes of this machine, native sidecars too.
//!
//! Other init containers, probes and volumes are left out. Paths in specs are paths of this
//! machine, and all pods share its network.

mod container;
mod pod;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::PodState;
use crate::kubernetes::object;
use crate::kubernetes::shared::Shared;
use crate::kubernetes::store::{Key, Store};
use pod::Pod;

/// Longest time between two looks at processes.
const TICK: Duration = Duration::from_millis(10);
/// What the scheduler says of a pod for which there is no room.
pub const NO_ROOM: &str = "0/1 nodes are available: 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

/// What the node has to offer; a test may change it.
#[derive(Debug)]
pub struct Offer {
    /// Programs by the name of their image.
    pub images: Mutex<BTreeMap<String, PathBuf>>,
    /// Pods that there is room for.
    pub room: AtomicUsize,
}

impl Default for Offer {
    fn default() -> Self {
        Self { images: Mutex::default(), room: AtomicUsize::new(usize::MAX) }
    }
}

/// The node.
struct Node {
    shared: Arc<Shared>,
    /// Where the containers' logs and last words are.
    folder: PathBuf,
    /// By uid.
    pods: BTreeMap<String, Pod>,
}

/// Starts the node. It ends, and kills its processes, with the cluster.
pub fn start(shared: Arc<Shared>, folder: PathBuf) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut node = Node { shared, folder, pods: BTreeMap::new() };
        while !node.shared.is_over() {
            let revision = node.shared.read(Store::revision);
            node.step();
            node.shared.wait_for_change(revision, TICK);
        }
    })
}

fn is_over(pod: &Value) -> bool {
    matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn is_bound(pod: &Value) -> bool {
    !object::text(pod, "/spec/nodeName").is_empty()
}

impl Node {
    fn step(&mut self) {
        let pods: Vec<(Key, Value)> = self.shared.read(|store| {
            store.list("pods", None).map(|(key, pod)| (key.clone(), pod.clone())).collect()
        });
        // A pod that was removed by force is dropped, which kills its processes.
        self.pods.retain(|uid, _| pods.iter().any(|(_, pod)| object::uid(pod) == uid));
        let mut taken = pods.iter().filter(|(_, pod)| is_bound(pod) && !is_over(pod)).count();
        for (key, pod) in &pods {
            let uid = object::uid(pod).to_owned();
            match self.pods.get_mut(&uid) {
                Some(running) => {
                    if running.look(&self.shared, key, pod) {
                        self.pods.remove(&uid);
                    }
                }
                None => self.begin(key, pod, &mut taken),
            }
        }
    }

    /// Takes a pod and starts it, if there is room and its images are there.
    fn begin(&mut self, key: &Key, pod: &Value, taken: &mut usize) {
        if is_over(pod) {
            return;
        }
        if object::is_deleted(pod) {
            return self.shared.write(|store| store.discard_now(key));
        }
        let now = self.shared.clock.stamp();
        let put = |state: PodState| {
            self.shared.write(|store| store.change(key, |pod| state.put(pod, &now)));
        };
        if !is_bound(pod) {
            if *taken >= self.shared.offer.room.load(Ordering::SeqCst) {
                return put(PodState::Unschedulable(NO_ROOM.to_owned()));
            }
            *taken += 1;
        }
        let images = self.shared.offer.images.lock().unwrap().clone();
        let wanted = ["/spec/initContainers", "/spec/containers"];
        let mut wanted = wanted.iter().flat_map(|list| object::list(pod, list));
        let missing =
            wanted.find(|container| !images.contains_key(object::text(container, "/image")));
        if let Some(missing) = missing {
            let image = object::text(missing, "/image");
            let message =
                format!("Back-off pulling image \"{image}\": ErrImagePull: {image}: not found");
            return put(PodState::Waiting("ImagePullBackOff".to_owned(), message));
        }
        let started = Pod::start(&self.shared, &self.folder, key, pod, images);
        self.pods.insert(object::uid(pod).to_owned(), started);
    }
}

//! A node that runs the first container of a pod as a process of this machine. Init containers,
//! sidecars and volumes are left out; paths in specs are paths of this machine.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{PodState, schedule};
use crate::kubernetes::object;
use crate::kubernetes::shared::Shared;
use crate::kubernetes::store::{Key, Store};

/// Longest time between two looks at processes.
const TICK: Duration = Duration::from_millis(10);

/// A process of a pod.
#[derive(Debug)]
struct Process {
    child: Child,
    uid: String,
    killed_at: Option<Instant>,
}

/// Starts the node. It ends, and kills its processes, with the cluster.
pub fn start(shared: Arc<Shared>, images: BTreeMap<String, PathBuf>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut processes: BTreeMap<Key, Process> = BTreeMap::new();
        while !shared.is_over() {
            let revision = shared.read(Store::revision);
            let pods: Vec<(Key, Value)> = shared.read(|store| {
                store.list("pods", None).map(|(key, pod)| (key.clone(), pod.clone())).collect()
            });
            for (key, pod) in &pods {
                if object::text(pod, "/spec/nodeName").is_empty() && !object::is_deleted(pod) {
                    begin(&shared, key, pod, &images, &mut processes);
                }
            }
            processes.retain(|key, process| !look(&shared, key, process));
            shared.wait_for_change(revision, TICK);
        }
        for process in processes.values_mut() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    })
}

fn begin(
    shared: &Shared,
    key: &Key,
    pod: &Value,
    images: &BTreeMap<String, PathBuf>,
    processes: &mut BTreeMap<Key, Process>,
) {
    let now = shared.clock.stamp();
    let container = &pod["spec"]["containers"][0];
    let image = object::text(container, "/image");
    let Some(program) = images.get(image) else {
        let message = format!("Back-off pulling image \"{image}\"");
        let state = PodState::Waiting("ImagePullBackOff".to_owned(), message);
        shared.write(|store| store.change(key, |pod| state.put(pod, &now)));
        return;
    };
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for variable in object::list(container, "/env") {
        command.env(object::text(variable, "/name"), value(pod, variable));
    }
    command.args(object::list(container, "/args").iter().filter_map(Value::as_str));
    let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let uid = object::uid(pod).to_owned();
    let pid = child.id();
    shared.write(|store| {
        store.change(key, |pod| {
            schedule(pod, &now);
            PodState::Running.put(pod, &now);
            pod["metadata"]["annotations"]["tests/pid"] = json!(pid.to_string());
        })
    });
    processes.insert(key.clone(), Process { child, uid, killed_at: None });
}

/// The value of a variable: a literal, or a field of the pod.
fn value(pod: &Value, variable: &Value) -> String {
    let path = object::text(variable, "/valueFrom/fieldRef/fieldPath");
    let keyed = |map: &str| {
        let key = path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")?;
        pod["metadata"][map.rsplit('.').next()?].get(key)?.as_str()
    };
    match path {
        "" => object::text(variable, "/value").to_owned(),
        "status.podIP" | "status.hostIP" => "127.0.0.1".to_owned(),
        _ => keyed("metadata.labels")
            .or_else(|| keyed("metadata.annotations"))
            .unwrap_or_else(|| object::text(pod, &format!("/{}", path.replace('.', "/"))))
            .to_owned(),
    }
}

/// Looks at a process; true where it is over.
fn look(shared: &Shared, key: &Key, process: &mut Process) -> bool {
    let pod = shared.read(|store| store.get(key).cloned());
    let pod = pod.filter(|pod| object::uid(pod) == process.uid);
    if let Some(status) = process.child.try_wait().unwrap() {
        let signal = status.signal().map_or(0, |signal| 128 + signal);
        let code = i64::from(status.code().unwrap_or(signal));
        let now = shared.clock.stamp();
        shared.write(|store| {
            store.change(key, |pod| PodState::Exited(code, String::new()).put(pod, &now));
            if pod.as_ref().is_some_and(object::is_deleted) {
                store.discard_now(key);
            }
        });
        return true;
    }
    let Some(pod) = pod else {
        // It was removed by force.
        let _ = process.child.kill();
        let _ = process.child.wait();
        return true;
    };
    if object::is_deleted(&pod) {
        let grace = object::number(&pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(0);
        match process.killed_at {
            None => {
                let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
                process.killed_at = Some(Instant::now() + grace);
                // The child is not reaped before `try_wait` sees it, so the id is still its own.
                let pid = Pid::from_raw(process.child.id().cast_signed()).unwrap();
                let _ = kill_process(pid, Signal::TERM);
            }
            Some(at) if Instant::now() >= at => {
                let _ = process.child.kill();
            }
            Some(_) => {}
        }
    }
    false
}

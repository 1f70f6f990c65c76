//! The container that scores.

use nightshift_core::demand;
use serde_json::{Value, json};

use super::{InvalidOrder, JobOrder};
use crate::template::WORKER;

const CONTAINERS: &str = "spec.template.spec.containers";
const ARGS: &str = "spec.template.spec.containers[worker].args";
const ENV: &str = "spec.template.spec.containers[worker].env";

/// Where a worker reads how many threads it shall have.
const THREADS: &str = "NIGHTSHIFT_WORKERS";

/// Puts the coordinator's image, then the spec's own image and resources, into the worker, with a
/// GPU if its task needs one and nobody has named any.
pub(super) fn image_and_resources(
    pod: &mut Value,
    order: &JobOrder<'_>,
) -> Result<(), InvalidOrder> {
    let worker = worker(pod)?;
    if let Some(image) = order.workers.image.as_ref().or(order.image.as_ref()) {
        worker["image"] = json!(image);
    }
    if order.workers.resources.is_some() {
        let whole = demand::completed(order.workers.resources.as_ref(), &worker["resources"]);
        worker["resources"] = whole;
    }
    if order.needs_gpu {
        demand::add_gpu(&mut worker["resources"]);
    }
    Ok(())
}

/// Sets what no template and no overlay may change.
pub(super) fn essentials(pod: &mut Value, order: &JobOrder<'_>) -> Result<(), InvalidOrder> {
    if !pod["spec"].is_object() {
        return Err(InvalidOrder::not_a_map("spec.template.spec"));
    }
    pod["spec"]["restartPolicy"] = json!("Never");
    let worker = worker(pod)?;
    set_args(worker, order)?;
    set_threads(worker)?;
    set_pod_name(worker)
}

/// Appends which coordinator and which run; what stood there may not say otherwise.
fn set_args(worker: &mut Value, order: &JobOrder<'_>) -> Result<(), InvalidOrder> {
    let args = list(worker, "args", ARGS)?;
    for flag in ["--coordinator", "--run"] {
        if says(args, flag) {
            return Err(InvalidOrder::Argument { flag });
        }
    }
    let run = order.run.to_string();
    args.extend(["--coordinator", &order.coordinator_url, "--run", &run].map(|arg| json!(arg)));
    Ok(())
}

/// As many threads as the worker has cores of its own, unless somebody says how many. Left to
/// itself a worker without a CPU limit counts the cores of its node.
fn set_threads(worker: &mut Value) -> Result<(), InvalidOrder> {
    let Some(threads) = demand::threads(&worker["resources"]) else { return Ok(()) };
    if says(list(worker, "args", ARGS)?, "--workers") {
        return Ok(());
    }
    let env = list(worker, "env", ENV)?;
    if !env.iter().any(|variable| variable["name"] == THREADS) {
        env.push(json!({ "name": THREADS, "value": threads.to_string() }));
    }
    Ok(())
}

/// Whether arguments have `flag`, alone or with a value.
fn says(args: &[Value], flag: &str) -> bool {
    args.iter()
        .filter_map(|arg| arg.as_str()?.strip_prefix(flag))
        .any(|rest| rest.is_empty() || rest.starts_with('='))
}

/// The list at `field` of the worker, made where there is none.
fn list<'v>(
    worker: &'v mut Value,
    field: &str,
    path: &str,
) -> Result<&'v mut Vec<Value>, InvalidOrder> {
    if worker[field].is_null() {
        worker[field] = json!([]);
    }
    worker[field].as_array_mut().ok_or_else(|| InvalidOrder::not_a_list(path))
}

/// Names the worker after its pod, by which its leases are freed when the pod dies.
fn set_pod_name(worker: &mut Value) -> Result<(), InvalidOrder> {
    let from = json!({ "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } });
    set_variable(worker, ENV, "POD_NAME", &from)
}

/// Sets an environment variable of a container, whose list of them is at `path`, to what `content`
/// says; what stood there is gone.
pub(super) fn set_variable(
    container: &mut Value,
    path: &str,
    name: &str,
    content: &Value,
) -> Result<(), InvalidOrder> {
    let env = list(container, "env", path)?;
    let mut variable = content.clone();
    variable["name"] = json!(name);
    match env.iter_mut().find(|variable| variable["name"] == name) {
        Some(there) => *there = variable,
        None => env.insert(0, variable),
    }
    Ok(())
}

/// The container `worker` of a pod template.
fn worker(pod: &mut Value) -> Result<&mut Value, InvalidOrder> {
    let containers = pod
        .pointer_mut("/spec/containers")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| InvalidOrder::not_a_list(CONTAINERS))?;
    let named = containers.iter_mut().find(|container| container["name"] == WORKER);
    named.filter(|container| container.is_object()).ok_or(InvalidOrder::NoWorker)
}

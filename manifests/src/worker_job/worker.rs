//! The container that scores.

use serde_json::{Value, json};

use super::{InvalidOrder, JobOrder};
use crate::template::WORKER;

const CONTAINERS: &str = "spec.template.spec.containers";

/// Puts the coordinator's image, then the spec's own image and resources, into the worker.
pub(super) fn image_and_resources(
    pod: &mut Value,
    order: &JobOrder<'_>,
) -> Result<(), InvalidOrder> {
    let worker = worker(pod)?;
    if let Some(image) = order.workers.image.as_ref().or(order.image.as_ref()) {
        worker["image"] = json!(image);
    }
    if let Some(resources) = &order.workers.resources {
        worker["resources"] = json!(resources);
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
    set_pod_name(worker)
}

/// Appends which coordinator and which run; what stood there may not say otherwise.
fn set_args(worker: &mut Value, order: &JobOrder<'_>) -> Result<(), InvalidOrder> {
    let field = "spec.template.spec.containers[worker].args";
    if worker["args"].is_null() {
        worker["args"] = json!([]);
    }
    let args = worker["args"].as_array_mut().ok_or_else(|| InvalidOrder::not_a_list(field))?;
    for flag in ["--coordinator", "--run"] {
        let said = |arg: &Value| {
            let rest = arg.as_str().and_then(|arg| arg.strip_prefix(flag));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        if args.iter().any(said) {
            return Err(InvalidOrder::Argument { flag });
        }
    }
    let run = order.run.to_string();
    args.extend(["--coordinator", &order.coordinator_url, "--run", &run].map(|arg| json!(arg)));
    Ok(())
}

/// Names the worker after its pod, by which its leases are freed when the pod dies.
fn set_pod_name(worker: &mut Value) -> Result<(), InvalidOrder> {
    let field = "spec.template.spec.containers[worker].env";
    if worker["env"].is_null() {
        worker["env"] = json!([]);
    }
    let env = worker["env"].as_array_mut().ok_or_else(|| InvalidOrder::not_a_list(field))?;
    let variable = json!({
        "name": "POD_NAME",
        "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } },
    });
    match env.iter_mut().find(|variable| variable["name"] == "POD_NAME") {
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

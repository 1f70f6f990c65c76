//! What a spec's `workers.resources` ask for, made whole.
//!
//! Kubernetes takes a limit as the request where there is none, refuses a request above its limit,
//! and gives nothing to a container that asks for nothing. So what is missing follows from what is
//! there: a request from its limit, a memory limit from its request, and only where neither is
//! there a default.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::quantity;

/// `resources` of a container, or their defaults.
pub type Resources = BTreeMap<String, Value>;

/// Most threads of a worker, as its flag has it.
const THREADS_MAX: u32 = 1024;

/// What a worker asks for of which nobody says anything, as in `deploy/base/worker-job.yaml`: one
/// core, and twice what one thread takes with rows of ordinary width.
pub fn defaults() -> Value {
    json!({
        "requests": { "cpu": "1", "memory": "512Mi" },
        "limits": { "memory": "1Gi" },
    })
}

/// The `resources` of a spec with what they leave out: CPU and memory requests, and a memory limit.
/// What is there stays. No CPU limit is added: idle cores may be used.
pub fn completed(resources: Option<&Resources>, defaults: &Value) -> Value {
    let Some(resources) = resources else { return defaults.clone() };
    let mut whole = json!(resources);
    for part in ["requests", "limits"] {
        if !whole[part].is_object() {
            whole[part] = json!({});
        }
    }
    let default = |part: &str, name: &str| defaults[part][name].clone();
    let cpu = known(&whole["limits"]["cpu"]).unwrap_or_else(|| default("requests", "cpu"));
    set(&mut whole["requests"], "cpu", cpu);
    let limit = match known(&whole["requests"]["memory"]) {
        Some(request) => larger(request, default("limits", "memory")),
        None => default("limits", "memory"),
    };
    let limited = known(&whole["limits"]["memory"]);
    let request = limited.unwrap_or_else(|| default("requests", "memory"));
    set(&mut whole["requests"], "memory", request);
    set(&mut whole["limits"], "memory", limit);
    whole
}

/// The resource that a device plugin of NVIDIA gives out whole GPUs as.
const GPU: &str = "nvidia.com/gpu";

/// Adds one GPU to the limits of a container, which are its request too, unless they name one, or
/// a part of one, already.
pub fn add_gpu(resources: &mut Value) {
    // A claim of dynamic resource allocation brings a device of its own.
    if !resources["claims"].is_null() {
        return;
    }
    let is_gpu = |name: &String| name.starts_with("nvidia.com/") || name.contains("gpu");
    let limits = resources["limits"].as_object();
    if !limits.is_some_and(|limits| limits.keys().any(is_gpu)) {
        resources["limits"][GPU] = json!(1);
    }
}

/// Threads that a worker with these resources should have: its CPU limit, or else its request, in
/// whole cores; `None` where neither says. Without this a worker would take a thread, and the
/// memory of one, for every core of its node.
pub fn threads(resources: &Value) -> Option<u32> {
    let mut cores = ["limits", "requests"].into_iter();
    let cores = cores.find_map(|part| quantity::value(&resources[part]["cpu"]))?;
    // A float becomes an integer without overflow, and no number becomes 0.
    Some((cores.ceil() as u32).clamp(1, THREADS_MAX))
}

/// The memory limit in bytes; `None` where there is none.
pub fn memory_limit(resources: &Value) -> Option<u64> {
    quantity::value(&resources["limits"]["memory"]).map(|bytes| bytes as u64)
}

fn known(value: &Value) -> Option<Value> {
    Some(value.clone()).filter(|value| !value.is_null())
}

fn set(part: &mut Value, name: &str, value: Value) {
    if part[name].is_null() && !value.is_null() {
        part[name] = value;
    }
}

fn larger(one: Value, other: Value) -> Value {
    if quantity::value(&one) > quantity::value(&other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(resources: Value) -> Value {
        let resources: Resources = serde_json::from_value(resources).unwrap();
        completed(Some(&resources), &defaults())
    }

    #[test]
    fn what_is_missing_follows_from_what_is_there() {
        assert_eq!(completed(None, &defaults()), defaults());
        assert_eq!(whole(json!({})), defaults());
        for (given, wanted) in [
            (
                json!({ "limits": { "cpu": "500m", "memory": "256Mi" } }),
                json!({
                    "limits": { "cpu": "500m", "memory": "256Mi" },
                    "requests": { "cpu": "500m", "memory": "256Mi" },
                }),
            ),
            (
                json!({ "requests": { "memory": "4Gi" } }),
                json!({
                    "limits": { "memory": "4Gi" }, "requests": { "cpu": "1", "memory": "4Gi" },
                }),
            ),
            (
                json!({ "requests": { "cpu": 2, "memory": "64Mi" } }),
                json!({
                    "limits": { "memory": "1Gi" }, "requests": { "cpu": 2, "memory": "64Mi" },
                }),
            ),
        ] {
            assert_eq!(whole(given.clone()), wanted, "{given}");
        }
    }

    #[test]
    fn a_gpu_is_added_where_none_is_named() {
        let with_gpu = |mut resources: Value| {
            add_gpu(&mut resources);
            resources
        };
        let wanted = json!({ "limits": { "memory": "1Gi", "nvidia.com/gpu": 1 } });
        assert_eq!(with_gpu(json!({ "limits": { "memory": "1Gi" } })), wanted);
        assert_eq!(with_gpu(json!({})), json!({ "limits": { "nvidia.com/gpu": 1 } }));
        for named in [
            json!({ "limits": { "nvidia.com/gpu": 2 } }),
            json!({ "limits": { "nvidia.com/mig-1g.10gb": 1 } }),
            json!({ "limits": { "nvidia.com/gpu.shared": "1" } }),
            json!({ "claims": [{ "name": "gpu" }] }),
        ] {
            assert_eq!(with_gpu(named.clone()), named);
        }
    }

    #[test]
    fn threads_are_the_limit_or_the_request_in_whole_cores() {
        assert_eq!(threads(&json!({ "limits": { "cpu": "2500m" } })), Some(3));
        assert_eq!(
            threads(&json!({ "limits": { "cpu": 4 }, "requests": { "cpu": "1" } })),
            Some(4)
        );
        assert_eq!(threads(&json!({ "requests": { "cpu": "250m" } })), Some(1));
        assert_eq!(threads(&json!({ "requests": { "cpu": "1E" } })), Some(THREADS_MAX));
        assert_eq!(threads(&json!({ "limits": { "memory": "1Gi" } })), None);
        assert_eq!(threads(&json!({ "limits": { "cpu": "much" } })), None);
    }

    #[test]
    fn limits_are_in_bytes() {
        assert_eq!(memory_limit(&json!({ "limits": { "memory": "1Gi" } })), Some(1 << 30));
        assert_eq!(memory_limit(&json!({})), None);
    }
}

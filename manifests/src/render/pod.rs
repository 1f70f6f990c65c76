//! The pod that all patterns share: nobody's user, no rights, one volume, limits.

use nightshift_core::demand;
use serde_json::{Value, json};

use super::RenderError;
use super::settings::Settings;

/// Where the spec lies in a pod.
pub(super) const SPEC_PATH: &str = "/etc/nightshift/spec.yaml";

/// What differs from pattern to pattern.
pub(super) struct Container {
    /// Whether it scores rows itself, for which it may need a GPU.
    pub(super) scores: bool,
    pub(super) name: &'static str,
    pub(super) image: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<Value>,
}

/// The pod spec of a container that reads the spec of `config_map`.
pub(super) fn spec(
    settings: &Settings<'_>,
    config_map: &str,
    container: Container,
) -> Result<Value, RenderError> {
    let mut env = vec![
        json!({ "name": "NIGHTSHIFT_LOG", "value": "info" }),
        json!({ "name": "NIGHTSHIFT_LOG_FORMAT", "value": "json" }),
    ];
    let collector = settings.collector()?;
    env.extend(collector.map(|url| variable("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
    env.extend(container.env);
    let resources = resources(settings, container.scores)?;
    env.extend(threads(&resources));
    Ok(json!({
        "restartPolicy": "Never",
        "serviceAccountName": settings.object("service-account", "nightshift-worker", 63)?,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 15,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": container.name,
            "image": container.image,
            "args": container.args,
            "env": env,
            "resources": resources,
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": [
                { "name": "spec", "mountPath": "/etc/nightshift", "readOnly": true },
                { "name": "data", "mountPath": "/data" },
                { "name": "tmp", "mountPath": "/tmp" },
            ],
        }],
        "volumes": [
            { "name": "spec", "configMap": {
                "name": config_map,
                "items": [{ "key": "spec.yaml", "path": "spec.yaml" }],
            } },
            { "name": "data", "persistentVolumeClaim": {
                "claimName": settings.object("claim", "nightshift-data", 63)?,
            } },
            { "name": "tmp", "emptyDir": {} },
        ],
    }))
}

/// The spec's own resources with what they leave out, or the defaults; `--set` over both. A GPU
/// where the container scores on one and the spec names none.
fn resources(settings: &Settings<'_>, scores: bool) -> Result<Value, RenderError> {
    let of_spec = settings.request.spec.workers.resources.as_ref();
    let mut resources = demand::completed(of_spec, &demand::defaults());
    if let Some(cpu) = settings.given("cpu")? {
        resources["requests"]["cpu"] = json!(cpu);
    }
    if let Some(memory) = settings.given("memory")? {
        let memory = json!(memory);
        resources["requests"]["memory"] = memory.clone();
        resources["limits"]["memory"] = memory;
    }
    if scores && settings.request.spec.task.needs_gpu() {
        demand::add_gpu(&mut resources);
    }
    Ok(resources)
}

/// As many threads as the container has cores of its own.
fn threads(resources: &Value) -> Option<Value> {
    let threads = demand::threads(resources)?;
    Some(variable("NIGHTSHIFT_WORKERS", &threads.to_string()))
}

/// A variable of the container.
pub(super) fn variable(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

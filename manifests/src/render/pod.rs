//! The pod that all patterns share: nobody's user, no rights, one volume, limits.

use serde_json::{Value, json};

use super::RenderError;
use super::settings::Settings;

/// Where the spec lies in a pod.
pub(super) const SPEC_PATH: &str = "/etc/nightshift/spec.yaml";

/// What differs from pattern to pattern.
pub(super) struct Container {
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
    env.extend(container.env);
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
            "resources": resources(settings)?,
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

/// The spec's own resources, or the defaults; `--set` over both. A memory limit is always there.
fn resources(settings: &Settings<'_>) -> Result<Value, RenderError> {
    let mut resources = match &settings.request.spec.workers.resources {
        Some(resources) => json!(resources),
        None => json!({}),
    };
    let mut or = |part: &str, name: &str, key: &'static str, default: &str| {
        let written = settings.written(key).map(|_| settings.text(key, default)).transpose()?;
        if !resources[part].is_object() {
            resources[part] = json!({});
        }
        if let Some(quantity) = written {
            resources[part][name] = json!(quantity);
        } else if resources[part][name].is_null() {
            resources[part][name] = json!(default);
        }
        Ok::<_, RenderError>(())
    };
    or("limits", "memory", "memory", "1Gi")?;
    or("requests", "cpu", "cpu", "1")?;
    // A request above the limit would be refused, so a limit of the spec is the request too.
    let limit = resources["limits"]["memory"].clone();
    let of_spec =
        settings.request.spec.workers.resources.is_some() || settings.written("memory").is_some();
    let default = if of_spec { limit } else { json!("512Mi") };
    let request = &mut resources["requests"]["memory"];
    if request.is_null() || settings.written("memory").is_some() {
        *request = default;
    }
    Ok(resources)
}

/// A variable of the container.
pub(super) fn variable(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

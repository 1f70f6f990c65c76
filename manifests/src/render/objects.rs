//! The objects around a pod: ConfigMap, Job, and what they say about themselves.

use serde_json::{Map, Value, json};

use super::RenderError;
use super::settings::Settings;

/// Exit codes after which another try of the whole run changes nothing: a wrong command line,
/// data that cannot be scored, no input, no rights, a wrong configuration.
pub(super) const HOPELESS: [u8; 5] = [64, 65, 66, 77, 78];

/// Name, namespace and labels of an object of a pattern.
pub(super) fn metadata(settings: &Settings<'_>, name: &str) -> Result<Value, RenderError> {
    let mut metadata = json!({ "name": name, "labels": labels(settings) });
    if settings.written("namespace").is_some() {
        metadata["namespace"] = json!(settings.object("namespace", "", 63)?);
    }
    Ok(metadata)
}

/// Labels of every object and pod of a pattern.
pub(super) fn labels(settings: &Settings<'_>) -> Value {
    json!({
        "app.kubernetes.io/name": "nightshift",
        "app.kubernetes.io/component": settings.request.pattern.name(),
        "nightshift.dev/name": settings.request.spec.name,
    })
}

/// The ConfigMap with the spec, and the model version where pods read it from there.
pub(super) fn config_map(
    settings: &Settings<'_>,
    name: &str,
    model_version: Option<&str>,
) -> Result<Value, RenderError> {
    let mut data = Map::new();
    data.insert("spec.yaml".to_owned(), json!(settings.request.text));
    if let Some(version) = model_version {
        data.insert("MODEL_VERSION".to_owned(), json!(version));
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(settings, name)?,
        "data": data,
    }))
}

/// Limits of a Job, by their defaults.
pub(super) struct Limits {
    pub(super) retries: u32,
    pub(super) deadline_s: u32,
    pub(super) ttl_s: u32,
}

/// The spec of a Job of one pod, which does a whole run.
pub(super) fn whole_run(
    settings: &Settings<'_>,
    container: &str,
    limits: &Limits,
    pod: Value,
) -> Result<Value, RenderError> {
    Ok(json!({
        "backoffLimit": settings.number("retries", limits.retries, 0, 1_000)?,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": [
            disruption(),
            on_exit("Ignore", container, &[75]),
            on_exit("FailJob", container, &HOPELESS),
        ] },
        "activeDeadlineSeconds": settings.number("deadline", limits.deadline_s, 1, 31_536_000)?,
        "ttlSecondsAfterFinished": settings.number("ttl", limits.ttl_s, 0, 31_536_000)?,
        "template": { "metadata": { "labels": labels(settings) }, "spec": pod },
    }))
}

/// Evictions, drained nodes and preemption are nobody's fault.
pub(super) fn disruption() -> Value {
    json!({
        "action": "Ignore",
        "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
    })
}

pub(super) fn on_exit(action: &str, container: &str, codes: &[u8]) -> Value {
    json!({
        "action": action,
        "onExitCodes": { "containerName": container, "operator": "In", "values": codes },
    })
}

/// What stands above each document.
pub(super) fn comment(settings: &Settings<'_>, text: &str) -> String {
    format!("{text}\nMade by: {}", settings.command())
}

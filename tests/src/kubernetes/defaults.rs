//! What the server fills in.

use serde_json::{Value, json};

use super::object::{self, array, default};
use super::resource::Resource;

/// Sets the defaults of an object.
pub fn fill(resource: &Resource, object: &mut Value) {
    match resource.plural {
        "jobs" => {
            job_spec(&mut object["spec"]);
            let labels = object["spec"]["template"]["metadata"]["labels"].clone();
            if object["metadata"]["labels"].is_null() && labels.is_object() {
                object["metadata"]["labels"] = labels;
            }
            default(object, "status", json!({}));
        }
        "cronjobs" => {
            let spec = &mut object["spec"];
            default(spec, "concurrencyPolicy", json!("Allow"));
            default(spec, "suspend", json!(false));
            default(spec, "successfulJobsHistoryLimit", json!(3));
            default(spec, "failedJobsHistoryLimit", json!(1));
            job_spec(&mut spec["jobTemplate"]["spec"]);
            default(object, "status", json!({}));
        }
        "pods" => {
            pod_spec(&mut object["spec"], Some("Always"));
            default(&mut object["spec"], "enableServiceLinks", json!(true));
            object["status"] = json!({ "phase": "Pending", "qosClass": "BestEffort" });
        }
        "secrets" => {
            default(object, "type", json!("Opaque"));
        }
        _ => {}
    }
}

fn job_spec(spec: &mut Value) {
    let indexed = spec["completionMode"] == "Indexed";
    if object::number(spec, "/completions").is_none()
        && object::number(spec, "/parallelism").is_none()
    {
        default(spec, "completions", json!(1));
    }
    default(spec, "parallelism", json!(1));
    default(spec, "completionMode", json!("NonIndexed"));
    default(spec, "suspend", json!(false));
    let per_index = indexed && spec["backoffLimitPerIndex"].is_i64();
    default(spec, "backoffLimit", json!(if per_index { i64::from(i32::MAX) } else { 6 }));
    let replaced =
        if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
    default(spec, "podReplacementPolicy", json!(replaced));
    if let Some(rules) = spec["podFailurePolicy"]["rules"].as_array_mut() {
        for rule in rules {
            if let Some(patterns) = rule["onPodConditions"].as_array_mut() {
                patterns.iter_mut().for_each(|pattern| default(pattern, "status", json!("True")));
            }
            object::drop_nulls(rule);
        }
    }
    pod_spec(&mut spec["template"]["spec"], Some("Always"));
    object::drop_nulls(spec);
}

fn pod_spec(spec: &mut Value, restart: Option<&str>) {
    if let Some(restart) = restart {
        default(spec, "restartPolicy", json!(restart));
    }
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "schedulerName", json!("default-scheduler"));
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    for list in ["initContainers", "containers"] {
        if spec[list].is_null() {
            continue;
        }
        for container in array(&mut spec[list]) {
            let latest = object::text(container, "/image").ends_with(":latest")
                || !object::text(container, "/image").contains(':');
            let policy = if latest { "Always" } else { "IfNotPresent" };
            default(container, "imagePullPolicy", json!(policy));
            default(container, "resources", json!({}));
            default(container, "terminationMessagePath", json!("/dev/termination-log"));
            default(container, "terminationMessagePolicy", json!("File"));
            for port in array_of(container, "ports") {
                default(port, "protocol", json!("TCP"));
            }
            for variable in array_of(container, "env") {
                let from = &mut variable["valueFrom"]["fieldRef"];
                if from.is_object() {
                    default(from, "apiVersion", json!("v1"));
                }
                object::drop_nulls(variable);
                if variable["valueFrom"] == json!({}) {
                    object::map(variable).remove("valueFrom");
                }
            }
        }
    }
    for volume in array_of(spec, "volumes") {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if volume.get(source).is_some_and(Value::is_object) {
                default(&mut volume[source], "defaultMode", json!(420));
            }
        }
    }
}

fn array_of<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

//! The Job that runs the workers of one run.
//!
//! The [`JobTemplate`] comes first, then the spec's image and resources, then its overlay, and
//! last what a run cannot do without: name and labels, an Indexed Job with as many completions
//! as slots, pods that are not restarted, and arguments that say which run to work on.

use nightshift_core::ids::RunId;
use nightshift_core::spec::Workers;
use serde_json::{Map, Value, json};

use crate::names;
use crate::overlay;
use crate::template::JobTemplate;

mod config_map;
mod error;
mod sidecar;
mod worker;

pub use config_map::{RunFacts, run_config_map};
pub use error::InvalidOrder;

/// Most slots of a run, as in the spec.
pub const SLOTS_MAX: u32 = 10_000;

/// Annotation with the whole run id, which may be too long for a label.
pub const RUN_ANNOTATION: &str = "nightshift.dev/run";

/// Start of the labels by which Kueue knows a Job.
const KUEUE: &str = "kueue.x-k8s.io/";

/// What the Job of a run is made for.
#[derive(Debug, Clone)]
pub struct JobOrder<'a> {
    /// The run.
    pub run: RunId,
    /// Worker pods, from 1 to [`SLOTS_MAX`].
    pub slots: u32,
    /// The spec's `workers`, from the plan.
    pub workers: &'a Workers,
    /// Where the workers find their coordinator.
    pub coordinator_url: String,
    /// What the Job is deleted with.
    pub owner: Option<Owner>,
    /// Whether its task is computed on a GPU.
    pub needs_gpu: bool,
    /// Image of the worker instead of the template's; the spec's own comes before it.
    pub image: Option<String>,
}

/// An object that takes the Job with it when it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// As in `v1`.
    pub api_version: String,
    /// As in `ConfigMap`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its identity, which a later object of that name does not have.
    pub uid: String,
}

/// The Job of a run, to be applied once: its slots change by [`scale_patch`] alone, and whether
/// it is suspended is Kueue's business after that.
///
/// # Errors
/// The field that contradicts what a run needs.
pub fn worker_job(template: &JobTemplate, order: &JobOrder<'_>) -> Result<Value, InvalidOrder> {
    if !(1..=SLOTS_MAX).contains(&order.slots) {
        return Err(InvalidOrder::Slots { slots: order.slots });
    }
    let mut job = template.job().clone();
    let mut pod = job["spec"]["template"].take();
    worker::image_and_resources(&mut pod, order)?;
    if let Some(fields) = &order.workers.pod_template {
        let laid = Value::Object(fields.clone().into_iter().collect());
        if let Some(fault) = overlay::fault(&laid) {
            return Err(InvalidOrder::refused(fault));
        }
        pod = overlay::merge(&pod, &laid);
    }
    worker::essentials(&mut pod, order)?;
    sidecar::tell(&mut pod, order)?;
    label(&mut pod, &order.run)?;
    let queue = kueue_labels(&pod);
    label(&mut job, &order.run)?;
    let metadata = object(&mut job, "metadata")?;
    metadata.insert("name".to_owned(), json!(names::job_name(&order.run)));
    if let Some(owner) = &order.owner {
        metadata.insert("ownerReferences".to_owned(), json!([owner_reference(owner)]));
    }
    let labels = object_in(metadata, "labels", "metadata.labels")?;
    labels.extend(queue);
    let queued = labels.contains_key("kueue.x-k8s.io/queue-name");
    let spec = object(&mut job, "spec")?;
    spec.insert("template".to_owned(), pod);
    spec.insert("completionMode".to_owned(), json!("Indexed"));
    spec.insert("completions".to_owned(), json!(order.slots));
    spec.insert("parallelism".to_owned(), json!(order.slots));
    if queued {
        spec.insert("suspend".to_owned(), json!(true));
    }
    Ok(job)
}

/// What changes the number of slots: only these two, together, as an Indexed Job allows. A Job that
/// `rests` is suspended besides; leaving that out of a later patch lets it go on.
pub fn scale_patch(slots: u32, rests: bool) -> Value {
    let mut spec = json!({ "completions": slots, "parallelism": slots });
    if let (true, Some(spec)) = (rests, spec.as_object_mut()) {
        spec.insert("suspend".to_owned(), json!(true));
    }
    json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": spec })
}

/// Says on an object, or a pod template, whose it is.
fn label(value: &mut Value, run: &RunId) -> Result<(), InvalidOrder> {
    let metadata = object(value, "metadata")?;
    object_in(metadata, "labels", "metadata.labels")?.extend(run_labels(run, "worker"));
    object_in(metadata, "annotations", "metadata.annotations")?
        .insert(RUN_ANNOTATION.to_owned(), json!(run.to_string()));
    Ok(())
}

/// The labels of everything that is made for a run.
pub(crate) fn run_labels(run: &RunId, component: &str) -> Map<String, Value> {
    let labels = [
        ("app.kubernetes.io/name", "nightshift".to_owned()),
        ("app.kubernetes.io/component", component.to_owned()),
        ("app.kubernetes.io/managed-by", "nightshift-coordinator".to_owned()),
        ("nightshift.dev/run", names::label_value(&run.to_string())),
        ("nightshift.dev/name", run.name.to_string()),
        ("nightshift.dev/date", run.partition.to_string()),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

/// What the pods carry for Kueue, which reads it on the Job.
fn kueue_labels(pod: &Value) -> Map<String, Value> {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter(|(key, _)| key.starts_with(KUEUE))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn owner_reference(owner: &Owner) -> Value {
    json!({
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        // Neither is the Job's: deleting the owner need not wait for the pods.
        "controller": false,
        "blockOwnerDeletion": false,
    })
}

/// The map at `field`, made where there is none.
fn object<'v>(
    value: &'v mut Value,
    field: &str,
) -> Result<&'v mut Map<String, Value>, InvalidOrder> {
    let map = value.as_object_mut().ok_or_else(|| InvalidOrder::not_a_map("spec.template"))?;
    object_in(map, field, field)
}

fn object_in<'v>(
    map: &'v mut Map<String, Value>,
    field: &str,
    path: &str,
) -> Result<&'v mut Map<String, Value>, InvalidOrder> {
    let value = map.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or_else(|| InvalidOrder::not_a_map(path))
}

#[cfg(test)]
mod tests;

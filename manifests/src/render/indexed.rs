//! `render indexed`: one dataset in shards, one pod each, without a coordinator.

use nightshift_core::ids::Partition;
use serde_json::{Value, json};

use super::objects;
use super::pod::{self, Container, SPEC_PATH};
use super::settings::Settings;
use super::{RenderError, WORKER_IMAGE};
use crate::names::LABEL_MAX;
use crate::template::WORKER;
use crate::yaml::Document;

/// Most completions of an Indexed Job without a limit on failed indexes.
const COMPLETIONS_MAX: u32 = 100_000;
/// Where Kubernetes says which completion a pod is.
const INDEX: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

pub(super) fn documents(settings: &Settings<'_>) -> Result<Vec<Document>, RenderError> {
    let partition = settings.partition()?;
    let spec = settings.request.spec;
    let completions = settings.number("completions", 100, 1, COMPLETIONS_MAX)?;
    // The pods have the host name `<job>-<index>`, which is a DNS label.
    let max = LABEL_MAX - format!("-{}", completions - 1).len();
    let name = settings.name(&format!("{}-{partition}-indexed", spec.name), max)?;
    let (input, output) = settings.places()?;
    let mut args =
        ["--spec", SPEC_PATH, "--num-shards", &completions.to_string()].map(str::to_owned).to_vec();
    if let Partition::Date(date) = partition {
        args.extend(["--date".to_owned(), date.to_string()]);
    }
    for (key, flag, place) in [("input", "--input", input), ("output", "--output", output)] {
        if settings.written(key).is_some() {
            args.extend([flag.to_owned(), place]);
        }
    }
    let mut env = vec![json!({
        "name": "SHARD_INDEX", "valueFrom": { "fieldRef": { "fieldPath": INDEX } },
    })];
    env.extend(settings.model_version()?.map(|it| pod::variable("MODEL_VERSION", &it)));
    let image = spec.workers.image.as_deref().unwrap_or(WORKER_IMAGE);
    let container =
        Container { scores: true, name: WORKER, image: settings.text("image", image)?, args, env };
    let pod = pod::spec(settings, &name, container)?;
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": objects::metadata(settings, &name)?,
        "spec": job_spec(settings, completions, pod)?,
    });
    let retries = if per_index(settings)? {
        "A shard whose pod fails is tried again, and the others go on: retries count for\n\
         each shard (backoffLimitPerIndex), and data that cannot be scored (65) ends its shard alone.\n\
         With --set backoff=job they count for all shards together (backoffLimit)."
    } else {
        "A shard whose pod fails is tried again. Retries count for all shards together\n\
         (backoffLimit), and the Job ends with the first failure beyond them; what is committed stays.\n\
         With --set backoff=index each shard has its own retries, and the others go on."
    };
    let about = format!(
        "Scores {} for {partition} in {completions} shards, one pod each; whoever commits the last one makes\n\
         the verdict. {retries}\n\
         On a ReadWriteOnce volume all pods run on one node.",
        spec.name
    );
    Ok(vec![
        Document {
            comment: objects::comment(settings, "The spec, as it was given."),
            value: objects::config_map(settings, &name, None)?,
        },
        Document { comment: objects::comment(settings, &about), value: job },
    ])
}

fn job_spec(settings: &Settings<'_>, completions: u32, pod: Value) -> Result<Value, RenderError> {
    let per_index = per_index(settings)?;
    let retries = settings.number("retries", 2, 0, 1_000)?;
    let mut rules = vec![objects::disruption(), objects::on_exit("Ignore", WORKER, &[75])];
    if per_index {
        rules.push(objects::on_exit("FailIndex", WORKER, &[65]));
    }
    rules.push(objects::on_exit("FailJob", WORKER, &[64, 66, 77, 78]));
    let mut spec = json!({
        "completionMode": "Indexed",
        "completions": completions,
        "parallelism": settings.number("parallelism", 10.min(completions), 1, completions)?,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": rules },
        "activeDeadlineSeconds": settings.number("deadline", 21_600, 1, 31_536_000)?,
        "ttlSecondsAfterFinished": settings.number("ttl", 3_600, 0, 31_536_000)?,
        "template": { "metadata": { "labels": objects::labels(settings) }, "spec": pod },
    });
    let limit = if per_index { "backoffLimitPerIndex" } else { "backoffLimit" };
    spec[limit] = json!(retries);
    Ok(spec)
}

/// Whether each shard has its own retries.
fn per_index(settings: &Settings<'_>) -> Result<bool, RenderError> {
    Ok(settings.choice("backoff", &["index", "job"])? == "index")
}

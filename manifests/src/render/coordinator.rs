//! `render coordinator`: the Job that a coordinator would make for a run, to look at.

use nightshift_core::ids::{Generation, RunId};
use serde_json::json;

use super::settings::Settings;
use super::{COORDINATOR_URL, RenderError, objects};
use crate::template::JobTemplate;
use crate::worker_job::{JobOrder, worker_job};
use crate::yaml::Document;

/// The template that comes with Nightshift.
const JOB_TEMPLATE: &str = include_str!("../../../deploy/base/worker-job.yaml");

pub(super) fn documents(settings: &Settings<'_>) -> Result<Vec<Document>, RenderError> {
    let spec = settings.request.spec;
    let (file, text) =
        settings.request.job_template.unwrap_or(("deploy/base/worker-job.yaml", JOB_TEMPLATE));
    let template = JobTemplate::parse(file, text)?;
    let generation = settings.number("generation", 1, 1, u32::MAX)?;
    let run = RunId {
        name: spec.name.clone(),
        partition: settings.partition()?,
        generation: Generation::new(generation).unwrap_or(Generation::FIRST),
    };
    let image = settings.given("image")?.map(str::to_owned);
    let order = JobOrder {
        run: run.clone(),
        slots: spec.workers.parallelism,
        workers: &spec.workers,
        coordinator_url: settings.text("coordinator", COORDINATOR_URL)?,
        owner: None,
        needs_gpu: spec.task.needs_gpu(),
        image,
    };
    let mut job = worker_job(&template, &order)?;
    if settings.written("namespace").is_some() {
        job["metadata"]["namespace"] = json!(settings.object("namespace", "", 63)?);
    }
    let about = format!(
        "What the coordinator makes of {file} for {run}, with at most the workers of\n\
         the spec. To look at, not to apply: the coordinator makes it when the run is submitted, owned by\n\
         a ConfigMap of the same name, and changes the number of workers as work runs out.",
    );
    Ok(vec![Document { comment: objects::comment(settings, &about), value: job }])
}

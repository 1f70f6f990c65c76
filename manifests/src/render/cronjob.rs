//! `render cronjob`: the date of yesterday, every night.

use serde_json::{Value, json};

use super::objects::{self, Limits};
use super::pod::{self, Container, SPEC_PATH};
use super::settings::Settings;
use super::{IMAGE, RenderError};
use crate::names::CRON_JOB_NAME_MAX;
use crate::yaml::Document;

const LIMITS: Limits = Limits { retries: 3, deadline_s: 21_600, ttl_s: 86_400 };
/// Of `variant=strict`.
const STRICT: Limits = Limits { retries: 1, deadline_s: 21_600, ttl_s: 86_400 };
/// Version that the ConfigMap holds where neither spec nor `--set` has one.
const FIRST_VERSION: &str = "v1";

pub(super) fn documents(settings: &Settings<'_>) -> Result<Vec<Document>, RenderError> {
    let spec = settings.request.spec;
    let name = settings.name(&format!("{}-nightly", spec.name), CRON_JOB_NAME_MAX)?;
    let (input, output) = settings.places()?;
    let mut args = vec!["run".to_owned(), SPEC_PATH.to_owned()];
    if spec.is_dated() {
        args.extend(["--date".to_owned(), "yesterday".to_owned()]);
    }
    for (key, flag, place) in [("input", "--input", input), ("output", "--output", output)] {
        if settings.written(key).is_some() {
            args.extend([flag.to_owned(), place]);
        }
    }
    let strict = settings.choice("variant", &["default", "strict"])? == "strict";
    let (limits, failed) = if strict { (STRICT, 2) } else { (LIMITS, 3) };
    let container = Container {
        scores: true,
        name: "nightshift",
        image: settings.text("image", IMAGE)?,
        args,
        env: vec![version_of(&name)],
    };
    let pod = pod::spec(settings, &name, container)?;
    let job = objects::whole_run(settings, "nightshift", &limits, pod)?;
    let cron = cron_job(settings, &name, "0 2 * * *", failed, job)?;
    let about = format!(
        "Scores {} every night, the date of yesterday. One Job at a time; a night that could not start\n\
         within the starting deadline is missed: run its date by hand. A date that is done is skipped.",
        spec.name
    );
    let version = settings.model_version()?.unwrap_or_else(|| FIRST_VERSION.to_owned());
    let held = format!(
        "The spec, as it was given, and the model version that the next Job uses. To change it:\n\
         kubectl patch configmap {name} --type merge -p '{{\"data\":{{\"MODEL_VERSION\":\"v2\"}}}}'"
    );
    Ok(vec![
        Document {
            comment: objects::comment(settings, &held),
            value: objects::config_map(settings, &name, Some(&version))?,
        },
        Document { comment: objects::comment(settings, &about), value: cron },
    ])
}

/// A CronJob that never runs twice at a time.
pub(super) fn cron_job(
    settings: &Settings<'_>,
    name: &str,
    schedule: &str,
    failed: u32,
    job: Value,
) -> Result<Value, RenderError> {
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": objects::metadata(settings, name)?,
        "spec": {
            "schedule": settings.text("schedule", schedule)?,
            "timeZone": settings.text("timezone", &settings.request.spec.backfill.timezone)?,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": settings.number("starting-deadline", 600, 10, 86_400)?,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": failed,
            "jobTemplate": { "metadata": { "labels": objects::labels(settings) }, "spec": job },
        },
    }))
}

/// MODEL_VERSION as the ConfigMap says it when a pod starts.
fn version_of(config_map: &str) -> Value {
    json!({
        "name": "MODEL_VERSION",
        "valueFrom": { "configMapKeyRef": { "name": config_map, "key": "MODEL_VERSION" } },
    })
}

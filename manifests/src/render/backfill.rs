//! `render backfill`: one missing date of the last days, every hour.

use serde_json::{Value, json};

use super::cronjob::cron_job;
use super::objects::{self, Limits};
use super::pod::{self, Container, SPEC_PATH};
use super::settings::Settings;
use super::{COORDINATOR_URL, IMAGE, RenderError};
use crate::names::CRON_JOB_NAME_MAX;
use crate::yaml::Document;

const LIMITS: Limits = Limits { retries: 2, deadline_s: 10_800, ttl_s: 43_200 };

pub(super) fn documents(settings: &Settings<'_>) -> Result<Vec<Document>, RenderError> {
    let spec = settings.request.spec;
    let name = settings.name(&format!("{}-backfill", spec.name), CRON_JOB_NAME_MAX)?;
    settings.places()?;
    let window = settings.text("window", &format!("{}d", spec.backfill.window_days))?;
    let max_dates = settings.number("max-dates", 1, 1, 1_000)?;
    let mut args =
        ["backfill", SPEC_PATH, "--window", &window, "--max-dates"].map(str::to_owned).to_vec();
    args.push(max_dates.to_string());
    let via = settings.choice("via", &["pod", "coordinator"])? == "coordinator";
    let mut env: Vec<Value> = Vec::new();
    env.extend(settings.model_version()?.map(|it| pod::variable("MODEL_VERSION", &it)));
    let how = if via {
        let url = settings.text("coordinator", COORDINATOR_URL)?;
        args.push("--wait".to_owned());
        // As a variable, so that a component can say https://.
        env.push(pod::variable("NIGHTSHIFT_COORDINATOR", &url));
        "hands it to the coordinator, whose workers run it, and waits for the verdict"
    } else {
        env.push(redis_url(&settings.object("redis-secret", "nightshift-redis", 63)?));
        "scores it in the pod. REDIS_URL comes from a Secret; without\n\
         that Secret the output alone says what is done, which takes longer and is as right"
    };
    let container = Container {
        scores: !via,
        name: "nightshift",
        image: settings.text("image", IMAGE)?,
        args,
        env,
    };
    let pod = pod::spec(settings, &name, container)?;
    let job = objects::whole_run(settings, "nightshift", &LIMITS, pod)?;
    let about = format!(
        "Every hour: finds what is missing of the last {window} of {}, takes {max_dates} of the dates and\n\
         {how}.\nOne Job at a time; when nothing is missing the pod ends at once.",
        spec.name
    );
    Ok(vec![
        Document {
            comment: objects::comment(settings, "The spec, as it was given."),
            value: objects::config_map(settings, &name, None)?,
        },
        Document {
            comment: objects::comment(settings, &about),
            value: cron_job(settings, &name, "0 * * * *", 3, job)?,
        },
    ])
}

fn redis_url(secret: &str) -> Value {
    json!({
        "name": "REDIS_URL",
        "valueFrom": {
            "secretKeyRef": { "name": secret, "key": "REDIS_URL", "optional": true },
        },
    })
}

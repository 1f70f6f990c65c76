//! `render job`: one dataset, once, in one pod.

use serde_json::json;

use super::objects::{self, Limits};
use super::pod::{self, Container, SPEC_PATH};
use super::settings::Settings;
use super::{IMAGE, RenderError};
use crate::names::LABEL_MAX;
use crate::yaml::Document;
use nightshift_core::ids::Partition;

const LIMITS: Limits = Limits { retries: 3, deadline_s: 21_600, ttl_s: 86_400 };

pub(super) fn documents(settings: &Settings<'_>) -> Result<Vec<Document>, RenderError> {
    let partition = settings.partition()?;
    let spec_name = &settings.request.spec.name;
    let name = settings.name(&format!("{spec_name}-{partition}"), LABEL_MAX)?;
    let (input, output) = settings.places()?;
    let mut args = vec!["run".to_owned(), SPEC_PATH.to_owned()];
    if let Partition::Date(date) = partition {
        args.extend(["--date".to_owned(), date.to_string()]);
    }
    args.extend(["--input".to_owned(), input, "--output".to_owned(), output]);
    let env = settings.model_version()?;
    let env = env.map(|version| pod::variable("MODEL_VERSION", &version)).into_iter().collect();
    let container = Container {
        scores: true,
        name: "nightshift",
        image: settings.text("image", IMAGE)?,
        args,
        env,
    };
    let pod = pod::spec(settings, &name, container)?;
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": objects::metadata(settings, &name)?,
        "spec": objects::whole_run(settings, "nightshift", &LIMITS, pod)?,
    });
    let about = format!(
        "Scores {spec_name} for {partition} once, in one pod. A pod that dies is replaced and goes on with\n\
         the shards that are missing; exit codes 64, 65, 66, 77 and 78 end the Job, because another try\n\
         would end the same.",
    );
    Ok(vec![
        Document {
            comment: objects::comment(settings, "The spec, as it was given."),
            value: objects::config_map(settings, &name, None)?,
        },
        Document { comment: objects::comment(settings, &about), value: job },
    ])
}

//! The Job that people read and edit, of which the Job of every run is made.

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use thiserror::Error;

use crate::overlay;

/// Name of the container that scores.
pub const WORKER: &str = "worker";

/// Largest template, in bytes; a ConfigMap holds no more.
const TEMPLATE_MAX_BYTES: usize = 1 << 20;

/// Fields of a `batch/v1` JobSpec in Kubernetes 1.34 that a template may have.
const JOB_FIELDS: [&str; 14] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "backoffLimitPerIndex",
    "completionMode",
    "completions",
    "managedBy",
    "maxFailedIndexes",
    "parallelism",
    "podFailurePolicy",
    "podReplacementPolicy",
    "successPolicy",
    "suspend",
    "template",
    "ttlSecondsAfterFinished",
];

/// Something in a job template that cannot stand, with its place and remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {}{problem}; {remedy}", prefix(.field))]
pub struct TemplateError {
    /// The template file, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Dotted path of the field, empty where the file as a whole is at fault.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}

/// A checked `batch/v1` Job with a container `worker`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTemplate {
    job: Value,
}

/// The parts that are checked, each with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default, rename = "metadata")]
    _metadata: Option<Value>,
    spec: Spanned<JobPlaces>,
}

#[derive(Deserialize)]
struct JobPlaces {
    template: Spanned<PodPlaces>,
}

#[derive(Deserialize)]
struct PodPlaces {
    spec: Spanned<PodSpecPlaces>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpecPlaces {
    restart_policy: Option<Spanned<String>>,
    #[serde(default)]
    containers: Vec<ContainerPlaces>,
}

#[derive(Deserialize)]
struct ContainerPlaces {
    name: String,
}

impl JobTemplate {
    /// Parses and checks the text of a job template; `file_name` is only used in messages.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and what to write instead.
    pub fn parse(file_name: &str, yaml: &str) -> Result<Self, TemplateError> {
        let checker = Checker { file: file_name };
        if yaml.len() > TEMPLATE_MAX_BYTES {
            let problem = format!("{} bytes are more than {TEMPLATE_MAX_BYTES}", yaml.len());
            return Err(checker.error(Location::UNKNOWN, "", &problem, "name the Job's YAML"));
        }
        let options = || serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let places: Document = serde_saphyr::from_str_with_options(yaml, options())
            .map_err(|error| checker.yaml(&error))?;
        checker.check(&places)?;
        let job: Value = serde_saphyr::from_str_with_options(yaml, options())
            .map_err(|error| checker.yaml(&error))?;
        checker.fields(&job, &places)?;
        Ok(Self { job })
    }

    /// The same with a file laid over its pod template, by the rules of [`overlay`]: what an
    /// installation adds to the pods of every run, such as a certificate or a queue.
    ///
    /// # Errors
    /// What is wrong in the file, and what to write instead.
    pub fn laid_over(mut self, file_name: &str, yaml: &str) -> Result<Self, TemplateError> {
        let checker = Checker { file: file_name };
        let refuse = |field: &str, problem: &str, remedy: &str| {
            checker.error(Location::UNKNOWN, field, problem, remedy)
        };
        if yaml.len() > TEMPLATE_MAX_BYTES {
            let problem = format!("{} bytes are more than {TEMPLATE_MAX_BYTES}", yaml.len());
            return Err(refuse("", &problem, "name the YAML of a part of a pod"));
        }
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let laid: Value = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| checker.yaml(&error))?;
        if !laid.is_object() {
            return Err(refuse("", "this is no map", "write `metadata` or `spec` of a pod"));
        }
        if let Some(fault) = overlay::fault(&laid) {
            return Err(refuse(&fault.field, fault.problem, fault.remedy));
        }
        let pod = &mut self.job["spec"]["template"];
        *pod = overlay::merge(pod, &laid);
        let containers = pod["spec"]["containers"].as_array();
        if !containers.into_iter().flatten().any(|container| container["name"] == WORKER) {
            let field = "spec.containers";
            return Err(refuse(field, "it takes the container `worker` away", "leave it there"));
        }
        Ok(self)
    }

    /// The Job as it was written.
    pub fn job(&self) -> &Value {
        &self.job
    }
}

struct Checker<'a> {
    file: &'a str,
}

impl Checker<'_> {
    fn error(&self, at: Location, field: &str, problem: &str, remedy: &str) -> TemplateError {
        TemplateError {
            file: self.file.to_owned(),
            line: at.line().max(1),
            column: at.column().max(1),
            field: field.to_owned(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    /// What YAML or serde refused, without the advice that is meant for programmers.
    fn yaml(&self, error: &serde_saphyr::Error) -> TemplateError {
        let at = error.location().unwrap_or(Location::UNKNOWN);
        let remedy = "write one batch/v1 Job as in deploy/base/worker-job.yaml";
        let problem = match error {
            serde_saphyr::Error::MultipleDocuments { .. } => {
                "there is a second document after `---`".to_owned()
            }
            serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
                format!("the key `{}` occurs twice", key.as_deref().unwrap_or("?"))
            }
            serde_saphyr::Error::Eof { .. } => "the document ends before a value".to_owned(),
            other => {
                let text = other.to_string();
                let first = text.lines().next().unwrap_or_default();
                let place = format!(" at line {}, column {}", at.line(), at.column());
                first.strip_suffix(place.as_str()).unwrap_or(first).to_owned()
            }
        };
        self.error(at, "", &problem, remedy)
    }

    fn check(&self, job: &Document) -> Result<(), TemplateError> {
        for (field, found, wanted) in
            [("apiVersion", &job.api_version, "batch/v1"), ("kind", &job.kind, "Job")]
        {
            if found.value != wanted {
                let problem = format!("`{}` is not a Job of batch/v1", found.value);
                let remedy = format!("write `{field}: {wanted}`");
                return Err(self.error(found.referenced, field, &problem, &remedy));
            }
        }
        let pod = &job.spec.value.template.value.spec;
        let field = "spec.template.spec.restartPolicy";
        let remedy = "write `restartPolicy: Never`, so that every exit code is seen by the Job";
        match &pod.value.restart_policy {
            Some(policy) if policy.value == "Never" => {}
            Some(policy) => {
                let problem = format!("`{}` hides how workers end", policy.value);
                return Err(self.error(policy.referenced, field, &problem, remedy));
            }
            None => return Err(self.error(pod.referenced, field, "the field is missing", remedy)),
        }
        if !pod.value.containers.iter().any(|container| container.name == WORKER) {
            let field = "spec.template.spec.containers";
            let problem = "no container is named `worker`";
            let remedy = "name the container that runs nightshift-worker `worker`";
            return Err(self.error(pod.referenced, field, problem, remedy));
        }
        Ok(())
    }

    /// Finds fields of the Job that Kubernetes or the coordinator would not take.
    fn fields(&self, job: &Value, places: &Document) -> Result<(), TemplateError> {
        let Some(spec) = job.get("spec").and_then(Value::as_object) else { return Ok(()) };
        let at = places.spec.referenced;
        for field in spec.keys() {
            let path = format!("spec.{field}");
            if ["selector", "manualSelector"].contains(&field.as_str()) {
                let problem = "a selector would be shared by the Jobs of all runs";
                return Err(self.error(at, &path, problem, "remove it"));
            }
            if !JOB_FIELDS.contains(&field.as_str()) {
                let problem = "unknown field of a Job";
                return Err(self.error(at, &path, problem, "remove it, or correct its name"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

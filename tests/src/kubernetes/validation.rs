//! What the server refuses about objects whose fields are known.

use serde_json::{Value, json};

use super::object;
use super::refused::Problem;
use super::resource::Resource;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Everything that is wrong about an object.
pub fn problems(resource: &Resource, object: &Value, before: Option<&Value>) -> Vec<Problem> {
    let mut found = metadata(resource, object);
    match resource.plural {
        "jobs" => {
            job_spec(&object["spec"], "spec", &mut found);
            hostname(object, &mut found);
            if let Some(before) = before {
                job_update(object, before, &mut found);
            }
        }
        "cronjobs" => cron_job(object, &mut found),
        "pods" => {
            pod_spec(&object["spec"], "spec", &mut found);
            let host = &object["spec"]["hostname"];
            if host.as_str().is_some_and(|host| !is_label(host)) {
                found.push(Problem::invalid("spec.hostname", host, LABEL));
            }
        }
        "configmaps" | "secrets" => content(object, before, &mut found),
        _ => {}
    }
    found
}

fn is_label(name: &str) -> bool {
    let inner =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    let edge = |letter: Option<&u8>| letter.is_some_and(|letter| *letter != b'-');
    let bytes = name.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && edge(bytes.first())
        && edge(bytes.last())
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|part| is_label(part) || part.len() > 63 && is_label(&part[..63]))
}

fn is_label_value(value: &str) -> bool {
    let edge = |letter: Option<&u8>| letter.is_none_or(u8::is_ascii_alphanumeric);
    let inner = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && edge(bytes.first())
        && edge(bytes.last())
}

fn metadata(resource: &Resource, object: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    let name = &object["metadata"]["name"];
    let text = name.as_str().unwrap_or_default();
    if text.is_empty() {
        found.push(Problem::required("metadata.name", "name or generateName is required"));
    } else if resource.plural == "namespaces" && !is_label(text) {
        found.push(Problem::invalid("metadata.name", name, LABEL));
    } else if !is_subdomain(text) {
        found.push(Problem::invalid("metadata.name", name, SUBDOMAIN));
    }
    labels(&object["metadata"]["labels"], "metadata.labels", &mut found);
    found
}

fn labels(labels: &Value, path: &str, found: &mut Vec<Problem>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let short = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        if short.is_empty() || !is_label_value(short) {
            found.push(Problem::invalid(path, &json!(key), "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            found.push(Problem::invalid(path, value, "must be no more than 63 characters"));
        } else if !is_label_value(text) {
            found.push(Problem::invalid(path, value, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"));
        }
    }
}

/// The pods of an Indexed Job get hostnames that end with their index.
fn hostname(job: &Value, found: &mut Vec<Problem>) {
    let completions = object::number(job, "/spec/completions").unwrap_or(0);
    if job["spec"]["completionMode"] == "Indexed" && completions > 0 {
        let longest = format!("{}-{}", object::name(job), completions - 1);
        if !is_label(&longest) {
            let detail = format!("will not able to create pod with invalid DNS label: {longest}");
            found.push(Problem::invalid("metadata.name", &job["metadata"]["name"], &detail));
        }
    }
}

fn job_spec(spec: &Value, at: &str, found: &mut Vec<Problem>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        if spec[field].as_i64().is_some_and(|number| number < 0) {
            let path = format!("{at}.{field}");
            found.push(Problem::invalid(&path, &spec[field], "must be greater than or equal to 0"));
        }
    }
    indexed(spec, at, found);
    let path = format!("{at}.podFailurePolicy.rules");
    for (index, rule) in object::list(spec, "/podFailurePolicy/rules").iter().enumerate() {
        failure_rule(spec, rule, &format!("{path}[{index}]"), found);
    }
    let replaced = &spec["podReplacementPolicy"];
    if spec["podFailurePolicy"].is_object() && replaced != "Failed" {
        found.push(Problem::unsupported(
            &format!("{at}.podReplacementPolicy"),
            replaced,
            &["Failed"],
        ));
    }
    pod_spec(&spec["template"]["spec"], &format!("{at}.template.spec"), found);
    labels(&spec["template"]["metadata"]["labels"], &format!("{at}.template.labels"), found);
    let path = format!("{at}.template.spec.restartPolicy");
    let policy = &spec["template"]["spec"]["restartPolicy"];
    match policy.as_str().unwrap_or("Always") {
        "Never" => {}
        "OnFailure" if spec["podFailurePolicy"].is_object() => found.push(Problem::invalid(
            &path,
            policy,
            "only \"Never\" is supported when podFailurePolicy is specified",
        )),
        "OnFailure" => {}
        "Always" => {
            found.push(Problem::required(&path, "valid values: \"OnFailure\", \"Never\""));
        }
        _ => found.push(Problem::unsupported(&path, policy, &["OnFailure", "Never"])),
    }
}

fn indexed(spec: &Value, at: &str, found: &mut Vec<Problem>) {
    let per_index = spec["backoffLimitPerIndex"].is_i64();
    if spec["maxFailedIndexes"].is_i64() && !per_index {
        let path = format!("{at}.backoffLimitPerIndex");
        found.push(Problem::required(&path, "when maxFailedIndexes is specified"));
    }
    if spec["completionMode"] == "Indexed" {
        if spec["completions"].is_null() {
            let path = format!("{at}.completions");
            found.push(Problem::required(&path, "when completion mode is Indexed"));
        }
        if spec["parallelism"].as_i64() > Some(100_000) {
            let path = format!("{at}.parallelism");
            let detail = "must be less than or equal to 100000 when completion mode is Indexed";
            found.push(Problem::invalid(&path, &spec["parallelism"], detail));
        }
        if spec["completions"].is_i64()
            && spec["maxFailedIndexes"].as_i64() > spec["completions"].as_i64()
        {
            let path = format!("{at}.maxFailedIndexes");
            let detail = "must be less than or equal to completions";
            found.push(Problem::invalid(&path, &spec["maxFailedIndexes"], detail));
        }
        return;
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
        if !spec[field].is_null() {
            let path = format!("{at}.{field}");
            found.push(Problem::invalid(&path, &spec[field], "requires indexed completion mode"));
        }
    }
}

fn failure_rule(spec: &Value, rule: &Value, at: &str, found: &mut Vec<Problem>) {
    let action = &rule["action"];
    match action.as_str().unwrap_or_default() {
        "FailIndex" if spec["backoffLimitPerIndex"].is_null() => found.push(Problem::invalid(
            &format!("{at}.action"),
            action,
            "requires the backoffLimitPerIndex to be set",
        )),
        "FailIndex" | "FailJob" | "Ignore" | "Count" => {}
        _ => found.push(Problem::unsupported(
            &format!("{at}.action"),
            action,
            &["Count", "FailIndex", "FailJob", "Ignore"],
        )),
    }
    let codes = &rule["onExitCodes"];
    let conditions = !object::list(rule, "/onPodConditions").is_empty();
    if codes.is_object() == conditions {
        let word = if conditions {
            "specifying both OnExitCodes and OnPodConditions is not supported"
        } else {
            "specifying one of OnExitCodes and OnPodConditions is required"
        };
        let detail = format!("Invalid value: {word}");
        found.push(Problem { field: at.to_owned(), reason: "FieldValueInvalid", detail });
    }
    if let Some(name) = codes["containerName"].as_str() {
        let pod = &spec["template"]["spec"];
        let mut containers =
            object::list(pod, "/containers").iter().chain(object::list(pod, "/initContainers"));
        if !containers.any(|container| container["name"] == name) {
            let path = format!("{at}.onExitCodes.containerName");
            let detail = "must be one of the container or initContainer names in the pod template";
            found.push(Problem::invalid(&path, &codes["containerName"], detail));
        }
    }
    if codes["operator"] == "In" && object::list(codes, "/values").iter().any(|code| code == 0) {
        let path = format!("{at}.onExitCodes.values");
        found.push(Problem::invalid(&path, &json!(0), "must not be 0 for the In operator"));
    }
}

/// What must stay as it is while a Job exists.
fn job_update(job: &Value, before: &Value, found: &mut Vec<Problem>) {
    let (new, old) = (&job["spec"], &before["spec"]);
    let immutable =
        |field: &str| Problem::invalid(&format!("spec.{field}"), &new[field], "field is immutable");
    if new["completions"] != old["completions"] {
        if new["completionMode"] != "Indexed" {
            found.push(immutable("completions"));
        } else if new["completions"] != new["parallelism"] {
            let detail = "can only be modified in tandem with spec.parallelism";
            found.push(Problem::invalid("spec.completions", &new["completions"], detail));
        }
    }
    let template = |spec: &Value| {
        let mut template = spec["template"].clone();
        // A queue may place a Job that has not started.
        if old["suspend"] == true && before["status"]["startTime"].is_null() {
            for field in ["nodeSelector", "tolerations", "affinity", "schedulingGates"] {
                object::map(&mut template["spec"]).remove(field);
            }
            for field in ["labels", "annotations"] {
                object::map(&mut template["metadata"]).remove(field);
            }
        }
        template
    };
    if template(new) != template(old) {
        found.push(immutable("template"));
    }
    for field in [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        if new[field] != old[field] {
            found.push(immutable(field));
        }
    }
}

fn pod_spec(spec: &Value, at: &str, found: &mut Vec<Problem>) {
    if object::list(spec, "/containers").is_empty() {
        found.push(Problem::required(&format!("{at}.containers"), ""));
    }
    let mut names = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in object::list(spec, &format!("/{list}")).iter().enumerate() {
            let at = format!("{at}.{list}[{index}]");
            let name = object::text(container, "/name");
            if name.is_empty() {
                found.push(Problem::required(&format!("{at}.name"), ""));
            } else if !is_label(name) {
                found.push(Problem::invalid(&format!("{at}.name"), &container["name"], LABEL));
            } else if names.contains(&name) {
                let detail = format!("Duplicate value: \"{name}\"");
                found.push(Problem {
                    field: format!("{at}.name"),
                    reason: "FieldValueDuplicate",
                    detail,
                });
            }
            names.push(name);
            if object::text(container, "/image").is_empty() {
                found.push(Problem::required(&format!("{at}.image"), ""));
            }
            mounts(spec, container, &at, found);
        }
    }
}

fn mounts(spec: &Value, container: &Value, at: &str, found: &mut Vec<Problem>) {
    for (index, mount) in object::list(container, "/volumeMounts").iter().enumerate() {
        let name = &mount["name"];
        if !object::list(spec, "/volumes").iter().any(|volume| volume["name"] == *name) {
            let detail = format!("Not found: {name}");
            let field = format!("{at}.volumeMounts[{index}].name");
            found.push(Problem { field, reason: "FieldValueNotFound", detail });
        }
    }
}

fn cron_job(object: &Value, found: &mut Vec<Problem>) {
    let schedule = object::text(object, "/spec/schedule");
    if schedule.is_empty() {
        found.push(Problem::required("spec.schedule", ""));
    } else if !schedule.starts_with('@') && schedule.split_whitespace().count() != 5 {
        let fields = schedule.split_whitespace().count();
        let detail = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
        found.push(Problem::invalid("spec.schedule", &object["spec"]["schedule"], &detail));
    }
    if object::name(object).len() > 52 {
        let detail = "must be no more than 52 characters";
        found.push(Problem::invalid("metadata.name", &object["metadata"]["name"], detail));
    }
    job_spec(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", found);
}

fn content(object: &Value, before: Option<&Value>, found: &mut Vec<Problem>) {
    const LIMIT: usize = 1024 * 1024;
    let data = object["data"].as_object().into_iter().flatten();
    let size: usize =
        data.map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len()).sum();
    if size > LIMIT {
        let detail = format!("Too long: may not be more than {LIMIT} bytes");
        found.push(Problem { field: "[]".to_owned(), reason: "FieldValueTooLong", detail });
    }
    let Some(before) = before.filter(|before| before["immutable"] == true) else { return };
    for field in ["data", "binaryData", "immutable"] {
        if before[field] != object[field] {
            let detail = "Forbidden: field is immutable when `immutable` is set".to_owned();
            found.push(Problem { field: field.to_owned(), reason: "FieldValueForbidden", detail });
        }
    }
}

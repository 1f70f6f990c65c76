//! What the pod failure policy says of a pod.

use serde_json::Value;

use crate::kubernetes::object;

/// What is to be done about a failed pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It counts.
    Count,
    /// It does not count.
    Ignore,
    /// Its index is over.
    FailIndex,
    /// The Job is over; the message says why.
    FailJob(String),
}

/// The action of the first rule that fits.
pub fn action(job: &Value, pod: &Value) -> Action {
    let rules = object::list(job, "/spec/podFailurePolicy/rules");
    for (at, rule) in rules.iter().enumerate() {
        let why = if rule["onExitCodes"].is_object() {
            by_exit_code(&rule["onExitCodes"], pod)
        } else {
            by_condition(rule, pod)
        };
        let Some(why) = why else { continue };
        let action = object::text(rule, "/action");
        return match action {
            "Ignore" => Action::Ignore,
            "FailIndex" => Action::FailIndex,
            "FailJob" => Action::FailJob(format!("{why} matching {action} rule at index {at}")),
            _ => Action::Count,
        };
    }
    Action::Count
}

fn by_exit_code(wanted: &Value, pod: &Value) -> Option<String> {
    let statuses = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let all = statuses.iter().flat_map(|list| object::list(pod, list));
    for status in all {
        let named = wanted["containerName"].as_str().is_none_or(|name| status["name"] == name);
        let Some(code) = object::number(status, "/state/terminated/exitCode") else { continue };
        let listed = object::list(wanted, "/values").iter().any(|value| *value == code);
        if named && code != 0 && listed == (wanted["operator"] == "In") {
            let (container, namespace) = (object::text(status, "/name"), object::namespace(pod));
            let pod = object::name(pod);
            return Some(format!(
                "Container {container} for pod {namespace}/{pod} failed with exit code {code}"
            ));
        }
    }
    None
}

fn by_condition(rule: &Value, pod: &Value) -> Option<String> {
    let patterns = object::list(rule, "/onPodConditions");
    let conditions = object::list(pod, "/status/conditions");
    let fits = |condition: &&Value| {
        patterns.iter().any(|pattern| {
            pattern["type"] == condition["type"] && pattern["status"] == condition["status"]
        })
    };
    let found = conditions.iter().find(fits)?;
    let kind = object::text(found, "/type");
    Some(format!("Pod {}/{} has condition {kind}", object::namespace(pod), object::name(pod)))
}

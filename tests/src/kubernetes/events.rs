//! The two kinds of Events. They are kept as the core group writes them.

use serde_json::{Value, json};

use super::object;
use super::refused::{Problem, Refused};
use super::resource::Resource;

/// Fields of `events.k8s.io/v1` and what the core group calls them.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
];

/// Makes an Event of the core group.
pub fn into_core(event: &mut Value) {
    let fields = object::map(event);
    for (new, old) in NAMES {
        if let Some(value) = fields.remove(new) {
            fields.insert(old.to_owned(), value);
        }
    }
    event["apiVersion"] = json!("v1");
}

/// Makes an Event of `events.k8s.io/v1`.
pub fn from_core(event: &mut Value) {
    let fields = object::map(event);
    for (new, old) in NAMES {
        if let Some(value) = fields.remove(old) {
            fields.insert(new.to_owned(), value);
        }
    }
    event["apiVersion"] = json!("events.k8s.io/v1");
}

/// What the server wants of new-style Events.
pub fn check(event: &Value) -> Result<(), Refused> {
    let mut problems = Vec::new();
    if event["eventTime"].is_null() {
        problems.push(Problem::required("eventTime", ""));
    }
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        if object::text(event, &format!("/{field}")).is_empty() {
            problems.push(Problem::required(field, ""));
        }
    }
    if !matches!(object::text(event, "/type"), "Normal" | "Warning") {
        problems.push(Problem::invalid("type", &event["type"], ""));
    }
    for (field, limit) in [("action", 128), ("reason", 128), ("note", 1024)] {
        if object::text(event, &format!("/{field}")).len() > limit {
            let detail = format!("can have at most {limit} characters");
            problems.push(Problem::invalid(field, &event[field], &detail));
        }
    }
    let about = object::text(event, "/regarding/namespace");
    let home = if about.is_empty() { "default" } else { about };
    if !object::namespace(event).is_empty() && object::namespace(event) != home {
        let detail = "does not match event.namespace";
        problems.push(Problem::invalid("involvedObject.namespace", &json!(about), detail));
    }
    match problems.as_slice() {
        [] => Ok(()),
        problems => {
            let resource = Resource::find("events.k8s.io", "events").unwrap();
            Err(Refused::invalid(resource, object::name(event), problems))
        }
    }
}

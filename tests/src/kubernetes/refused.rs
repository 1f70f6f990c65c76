//! Answers that say no: `metav1.Status` in the words of the real server.

use std::time::Duration;

use serde_json::{Value, json};

use super::resource::Resource;

/// A request that is not done, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// HTTP status.
    pub code: u16,
    /// Machine-readable reason.
    pub reason: String,
    /// What people read.
    pub message: String,
    /// `details` of the status.
    pub details: Value,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// A refusal without details.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let (reason, message) = (reason.to_owned(), message.into());
        Self { code, reason, message, details: Value::Null, retry_after: None }
    }

    fn of(resource: &Resource, name: &str, code: u16, reason: &str, message: String) -> Self {
        let details = json!({ "name": name, "group": resource.group, "kind": resource.plural });
        Self { details, ..Self::new(code, reason, message) }
    }

    /// There is no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::of(resource, name, 404, "NotFound", message)
    }

    /// There is no such place in the API.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// There is one already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::of(resource, name, 409, "AlreadyExists", message)
    }

    /// Somebody else was faster.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        Self::conflict_because(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// The object is not as the request wants it.
    pub fn conflict_because(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = resource.qualified();
        let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        Self::of(resource, name, 409, "Conflict", message)
    }

    /// The caller may not do that.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::of(resource, name, 403, "Forbidden", message)
    }

    /// The request is not understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The object is not valid: fields with what is wrong about them.
    pub fn invalid(resource: &Resource, name: &str, problems: &[Problem]) -> Self {
        let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let said = match said.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {said}", resource.qualified_kind());
        let causes: Vec<Value> = problems.iter().map(Problem::cause).collect();
        let mut refused = Self::of(resource, name, 422, "Invalid", message);
        refused.details["kind"] = json!(resource.kind);
        refused.details["causes"] = json!(causes);
        refused
    }

    /// What a watch wants to know is forgotten.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// The `metav1.Status`.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        if let Some(after) = self.retry_after {
            status["details"]["retryAfterSeconds"] = json!(after.as_secs());
        }
        status
    }
}

/// What is wrong about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired` and so on.
    pub reason: &'static str,
    /// What is wrong.
    pub detail: String,
}

impl Problem {
    /// A value that cannot be.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        let detail = format!("Invalid value: {value}: {detail}");
        Self { field: field.to_owned(), reason: "FieldValueInvalid", detail }
    }

    /// A value that is missing.
    pub fn required(field: &str, detail: &str) -> Self {
        let detail = match detail {
            "" => "Required value".to_owned(),
            detail => format!("Required value: {detail}"),
        };
        Self { field: field.to_owned(), reason: "FieldValueRequired", detail }
    }

    /// A value that is none of those that can be.
    pub fn unsupported(field: &str, value: &Value, known: &[&str]) -> Self {
        let known: Vec<String> = known.iter().map(|one| format!("\"{one}\"")).collect();
        let known = known.join(", ");
        let detail = format!("Unsupported value: {value}: supported values: {known}");
        Self { field: field.to_owned(), reason: "FieldValueNotSupported", detail }
    }

    fn cause(&self) -> Value {
        json!({ "reason": self.reason, "message": self.detail, "field": self.field })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

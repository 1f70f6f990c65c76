//! A request, read from its path, its parameters and its body.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::apply::Writer;
use super::events;
use super::refused::Refused;
use super::resource::Resource;
use super::selector::Selector;
use super::store::{Key, Store};

/// A request for objects.
#[derive(Debug)]
pub struct Request {
    /// As RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or
    /// `deletecollection`.
    pub verb: &'static str,
    /// What it is about.
    pub resource: &'static Resource,
    /// The namespace; empty for all and for objects of the cluster.
    pub namespace: String,
    /// The name; empty for many.
    pub name: String,
    /// `status`, or nothing.
    pub subresource: String,
    /// What is selected.
    pub selector: Selector,
    /// Who writes.
    pub manager: String,
    /// Whether an apply takes fields from others.
    pub force: bool,
    /// Whether unknown fields are refused.
    pub strict: bool,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// All parameters.
    pub parameters: BTreeMap<String, String>,
    /// The body.
    pub body: Body,
}

/// What was sent.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// An object or options.
    Json(Value),
    /// A JSON merge patch.
    Merge(Value),
    /// A strategic merge patch.
    Strategic(Value),
    /// A JSON patch.
    JsonPatch(Value),
    /// A server-side apply.
    Apply(Value),
    /// Something else.
    Unknown,
}

impl Body {
    /// Reads the bytes by their type.
    pub fn read(content_type: &str, bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.is_empty() {
            return Ok(Self::None);
        }
        let value = || {
            serde_json::from_slice(bytes).map_err(|error| {
                let message = format!("the object provided is unrecognized: {error}");
                Refused::bad_request(message)
            })
        };
        Ok(match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" | "" => Self::Json(value()?),
            "application/merge-patch+json" => Self::Merge(value()?),
            "application/strategic-merge-patch+json" => Self::Strategic(value()?),
            "application/json-patch+json" => Self::JsonPatch(value()?),
            // The double reads JSON only, which is what clients send.
            "application/apply-patch+yaml" => Self::Apply(value()?),
            _ => Self::Unknown,
        })
    }

    /// The object that was sent.
    pub fn json(&self) -> Result<Value, Refused> {
        match self {
            Self::Json(value) | Self::Apply(value) => Ok(value.clone()),
            Self::None => Err(Refused::bad_request("unexpected EOF")),
            _ => Err(Refused::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: application/json",
            )),
        }
    }
}

impl Request {
    /// Reads a request. Paths of other kinds of requests give nothing.
    pub fn read(
        method: &str,
        path: &str,
        query: &str,
        agent: &str,
        body: Body,
    ) -> Option<Result<Self, Refused>> {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let group = match parts.as_slice() {
            ["api", "v1", _, ..] => "",
            ["apis", group, "v1", _, ..] => *group,
            _ => return None,
        };
        parts.drain(..if group.is_empty() { 2 } else { 3 });
        let namespace = match parts.as_slice() {
            ["namespaces", namespace, plural, ..] if !matches!(*plural, "status" | "finalize") => {
                (*namespace).to_owned()
            }
            _ => String::new(),
        };
        if !namespace.is_empty() {
            parts.drain(..2);
        }
        let Some(resource) = Resource::find(group, parts[0]) else {
            return Some(Err(Refused::no_such_path()));
        };
        let name = parts.get(1).map(|name| (*name).to_owned()).unwrap_or_default();
        let subresource = parts.get(2).map(|sub| (*sub).to_owned()).unwrap_or_default();
        if !matches!(subresource.as_str(), "" | "status")
            || subresource == "status" && !resource.status
        {
            return Some(Err(Refused::no_such_path()));
        }
        Some(Self::with_parameters(
            method,
            resource,
            namespace,
            name,
            subresource,
            query,
            agent,
            body,
        ))
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of a request")]
    fn with_parameters(
        method: &str,
        resource: &'static Resource,
        namespace: String,
        name: String,
        subresource: String,
        query: &str,
        agent: &str,
        body: Body,
    ) -> Result<Self, Refused> {
        let parameters = parameters(query);
        let get = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        let many = name.is_empty();
        let verb = match (method, many) {
            ("GET", _) if matches!(get("watch"), "true" | "1") => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", true) => "create",
            ("PUT", false) => "update",
            ("PATCH", false) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => {
                let message = "the server does not allow this method on the requested resource";
                return Err(Refused::new(405, "MethodNotAllowed", message));
            }
        };
        let selector = Selector::parse(get("labelSelector"), get("fieldSelector"))?;
        let manager = match (get("fieldManager"), &body) {
            ("", Body::Apply(_)) => "",
            ("", _) => agent.split('/').next().unwrap_or_default(),
            (manager, _) => manager,
        };
        Ok(Self {
            verb,
            resource,
            name,
            selector,
            manager: manager.to_owned(),
            force: get("force") == "true",
            strict: get("fieldValidation") == "Strict",
            dry_run: get("dryRun") == "All",
            namespace,
            subresource,
            body,
            parameters,
        })
    }

    /// A parameter.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Where its object is.
    pub fn key(&self) -> Key {
        Store::key(self.resource, &self.namespace, &self.name)
    }

    /// The namespace that it selects; none for all.
    pub fn scope(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }

    /// Who writes, for managed fields.
    pub fn writer<'a>(&'a self, operation: &'a str, now: &'a str) -> Writer<'a> {
        Writer { manager: &self.manager, operation, subresource: &self.subresource, now }
    }

    /// A stored object as this request sees it.
    pub fn outside(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if self.resource.group == "events.k8s.io" {
            events::from_core(&mut object);
        }
        object
    }

    /// As [`Self::outside`]; the status of a deletion stays as it is.
    pub fn outside_unless_status(&self, object: &Value) -> Value {
        if object["kind"] == "Status" { object.clone() } else { self.outside(object) }
    }

    /// An object of this request as it is stored.
    pub fn inside(&self, mut object: Value) -> Value {
        if self.resource.group == "events.k8s.io" {
            events::into_core(&mut object);
        }
        object
    }
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

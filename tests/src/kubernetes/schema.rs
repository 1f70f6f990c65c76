//! The fields that objects have, as `k8s-openapi` knows them.

use k8s_openapi::api::{batch::v1 as batch, coordination::v1 as coordination, core::v1 as core};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refused::Refused;
use super::resource::Resource;

/// What the server does with fields that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are dropped; the names go into `Warning` headers.
    Dropped,
    /// The request is refused.
    Refused,
}

/// Reads an object as the real server does: refuses values of the wrong type, drops or refuses
/// unknown fields. Gives the paths of what was dropped.
pub fn check(
    resource: &Resource,
    object: &mut Value,
    unknown: Unknown,
) -> Result<Vec<String>, Refused> {
    let known = match (resource.group, resource.plural) {
        ("batch", "jobs") => typed::<batch::Job>(object),
        ("batch", "cronjobs") => typed::<batch::CronJob>(object),
        ("coordination.k8s.io", _) => typed::<coordination::Lease>(object),
        ("events.k8s.io", _) => typed::<k8s_openapi::api::events::v1::Event>(object),
        (_, "events") => typed::<core::Event>(object),
        (_, "pods") => typed::<core::Pod>(object),
        (_, "configmaps") => typed::<core::ConfigMap>(object),
        (_, "secrets") => typed::<core::Secret>(object),
        (_, "namespaces") => typed::<core::Namespace>(object),
        (_, "serviceaccounts") => typed::<core::ServiceAccount>(object),
        _ => Ok(object.clone()),
    };
    let known = known.map_err(|error| {
        let (kind, version) = (resource.kind, "v1");
        Refused::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"
        ))
    })?;
    let mut dropped = Vec::new();
    drop_unknown(object, &known, "", &mut dropped);
    if unknown == Unknown::Refused && !dropped.is_empty() {
        let list: Vec<String> =
            dropped.iter().map(|path| format!("unknown field \"{path}\"")).collect();
        let (kind, list) = (resource.kind, list.join(", "));
        return Err(Refused::bad_request(format!(
            "{kind} in version \"v1\" cannot be handled as a {kind}: strict decoding error: {list}"
        )));
    }
    Ok(dropped)
}

fn typed<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, serde_json::Error> {
    let typed: T = serde_json::from_value(object.clone())?;
    serde_json::to_value(typed)
}

fn drop_unknown(object: &mut Value, known: &Value, path: &str, dropped: &mut Vec<String>) {
    match (object, known) {
        (Value::Object(fields), Value::Object(known)) => fields.retain(|name, value| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match known.get(name) {
                Some(known) => drop_unknown(value, known, &path, dropped),
                // A null is a field that is not set, and it is not written again.
                None if value.is_null() => {}
                None => {
                    dropped.push(path);
                    return false;
                }
            }
            true
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (at, (item, known)) in items.iter_mut().zip(known).enumerate() {
                drop_unknown(item, known, &format!("{path}[{at}]"), dropped);
            }
        }
        _ => {}
    }
}

//! Server-side apply: who owns which field.

use serde_json::{Value, json};

use super::fields::{self, Fields, Merge, key_of, merge_of};
use super::object::{self, array};
use super::refused::Refused;
use super::resource::Resource;

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// `Apply` or `Update`.
    pub operation: &'a str,
    /// `status`, or nothing.
    pub subresource: &'a str,
    /// The time.
    pub now: &'a str,
}

impl Writer<'_> {
    fn wrote(&self, entry: &Value) -> bool {
        entry["manager"] == self.manager
            && entry["operation"] == self.operation
            && object::text(entry, "/subresource") == self.subresource
    }
}

/// Applies `patch` to the object that is there, or to nothing.
pub fn apply(
    resource: &Resource,
    live: Option<&Value>,
    patch: &Value,
    writer: Writer<'_>,
    force: bool,
) -> Result<Value, Refused> {
    let mine = fields::of(patch);
    let mut new = live.cloned().unwrap_or_else(|| {
        json!({ "apiVersion": patch["apiVersion"], "kind": patch["kind"], "metadata": {
            "name": patch["metadata"]["name"],
        } })
    });
    let entries = object::list(&new, "/metadata/managedFields").to_vec();
    let mut conflicts = Vec::new();
    let mut kept = Vec::new();
    let mut before = Fields::new();
    let mut others = Fields::new();
    for mut entry in entries {
        let owned = fields::decode(&entry["fieldsV1"]);
        if writer.wrote(&entry) {
            before = owned;
            continue;
        }
        let is_taken = |path: &fields::Path| {
            let leaf = path.last().is_some_and(|step| step.starts_with("f:"));
            leaf && mine.contains(path) && fields::at(&new, path) != fields::at(patch, path)
        };
        let (taken, rest): (Fields, Fields) = owned.into_iter().partition(is_taken);
        conflicts.extend(taken.into_iter().map(|path| (text_of(&entry), path)));
        if !rest.is_empty() {
            entry["fieldsV1"] = fields::encode(&rest);
            kept.push(entry);
        }
        others.extend(rest);
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict(resource, object::name(patch), &conflicts));
    }
    // Deepest first, so that an item goes after its fields.
    for path in before.iter().rev().filter(|path| !mine.contains(*path)) {
        let used = |fields: &Fields| fields.iter().any(|other| other.starts_with(path));
        if !used(&others) && !used(&mine) {
            fields::remove(&mut new, path);
        }
    }
    let mut patch = patch.clone();
    if let Some(metadata) = patch["metadata"].as_object_mut() {
        metadata.retain(|name, _| {
            matches!(name.as_str(), "labels" | "annotations" | "ownerReferences" | "finalizers")
        });
    }
    combine(&mut new, &patch);
    let entry = entry(resource, writer, &mine);
    kept.push(entry);
    new["metadata"]["managedFields"] = json!(kept);
    Ok(new)
}

/// Notes what an update, a patch or a creation changed as the writer's.
pub fn note_update(
    resource: &Resource,
    before: Option<&Value>,
    after: &mut Value,
    writer: Writer<'_>,
) {
    let now = fields::of(after);
    let differs = |path: &&fields::Path| {
        before.and_then(|before| fields::at(before, path)) != fields::at(after, path)
    };
    let leaf = |path: &&fields::Path| path.last().is_some_and(|step| !step.starts_with("k:"));
    let mine: Fields = match before {
        Some(_) => now.iter().filter(leaf).filter(differs).cloned().collect(),
        None => now.clone(),
    };
    let mut own = mine.clone();
    let mut kept = Vec::new();
    for mut entry in object::list(after, "/metadata/managedFields").to_vec() {
        let owned = fields::decode(&entry["fieldsV1"]);
        let wrote = writer.wrote(&entry);
        // What is gone belongs to nobody; what was changed belongs to the writer.
        let rest: Fields = owned
            .into_iter()
            .filter(|path| fields::at(after, path).is_some())
            .filter(|path| wrote || !mine.contains(path))
            .collect();
        if wrote {
            own.extend(rest);
        } else if !rest.is_empty() {
            entry["fieldsV1"] = fields::encode(&rest);
            kept.push(entry);
        }
    }
    if !own.is_empty() {
        kept.push(entry(resource, writer, &own));
    }
    after["metadata"]["managedFields"] = json!(kept);
}

fn entry(resource: &Resource, writer: Writer<'_>, owned: &Fields) -> Value {
    let mut entry = json!({
        "manager": writer.manager, "operation": writer.operation,
        "apiVersion": resource.api_version(), "time": writer.now,
        "fieldsType": "FieldsV1", "fieldsV1": fields::encode(owned),
    });
    if !writer.subresource.is_empty() {
        entry["subresource"] = json!(writer.subresource);
    }
    entry
}

fn text_of(entry: &Value) -> String {
    let (manager, version) = (object::text(entry, "/manager"), object::text(entry, "/apiVersion"));
    match object::text(entry, "/subresource") {
        "" => format!("\"{manager}\" using {version}"),
        sub => format!("\"{manager}\" with subresource \"{sub}\" using {version}"),
    }
}

fn conflict(resource: &Resource, name: &str, conflicts: &[(String, fields::Path)]) -> Refused {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(manager, path)| {
            json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"),
                "field": fields::display(path),
            })
        })
        .collect();
    let message = match conflicts {
        [(manager, path)] => format!(
            "Apply failed with 1 conflict: conflict with {manager}: {}",
            fields::display(path)
        ),
        many => {
            let lines: Vec<String> = many
                .iter()
                .map(|(manager, path)| {
                    format!("conflict with {manager}: {}", fields::display(path))
                })
                .collect();
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let details =
        json!({ "name": name, "group": resource.group, "kind": resource.plural, "causes": causes });
    Refused { details, ..Refused::new(409, "Conflict", message) }
}

/// Puts the fields of an applied object over those that are there.
fn combine(into: &mut Value, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        let known = &mut into[name];
        match (value, merge_of(name)) {
            (Value::Object(_), _) => {
                object::map(known);
                combine(known, value);
            }
            (Value::Array(items), Merge::ByKeys(keys)) => {
                let known = array(known);
                for item in items {
                    let key = key_of(item, keys);
                    match known.iter_mut().find(|one| key_of(one, keys) == key) {
                        Some(one) => combine(one, item),
                        None => known.push(item.clone()),
                    }
                }
            }
            (Value::Array(items), Merge::Set) => {
                let known = array(known);
                items.iter().for_each(|item| {
                    if !known.contains(item) {
                        known.push(item.clone());
                    }
                });
            }
            _ => *known = value.clone(),
        }
    }
}

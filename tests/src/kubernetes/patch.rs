//! JSON merge patches (RFC 7386), JSON patches as far as `kubectl` needs them, and strategic
//! merge patches.

use serde_json::{Value, json};

use super::fields::{Merge, key_of, merge_of};
use super::object;
use super::refused::Refused;

/// Merges a JSON merge patch into an object.
pub fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    let fields = object::map(into);
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Merges a strategic merge patch: keyed lists item by item, with `$patch: delete`.
pub fn strategic(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if patch.get("$patch").is_some_and(|directive| directive == "replace") {
        *into = Value::Object(patch.clone());
        object::map(into).remove("$patch");
        return;
    }
    let fields = object::map(into);
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            Value::Array(items) => {
                let known = fields.entry(name.clone()).or_insert(json!([]));
                list(known, name, items);
            }
            _ => strategic(fields.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}

fn list(known: &mut Value, field: &str, items: &[Value]) {
    let known = object::array(known);
    match merge_of(field) {
        Merge::Atomic => *known = items.to_vec(),
        Merge::Set => {
            for item in items {
                if !known.contains(item) {
                    known.push(item.clone());
                }
            }
        }
        Merge::ByKeys(keys) => {
            for item in items {
                let key = key_of(item, keys);
                let found = known.iter().position(|one| key_of(one, keys) == key);
                match found {
                    Some(at) if item["$patch"] == "delete" => {
                        known.remove(at);
                    }
                    Some(at) => strategic(&mut known[at], item),
                    None if item["$patch"] == "delete" => {}
                    None => known.push(item.clone()),
                }
            }
        }
    }
}

/// Applies a JSON patch: add, replace, remove and test.
pub fn json_patch(into: &mut Value, patch: &Value) -> Result<(), Refused> {
    for step in patch.as_array().into_iter().flatten() {
        let pointer = object::text(step, "/path");
        let (parent, last) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        let last = last.replace("~1", "/").replace("~0", "~");
        let failed = || {
            let message =
                format!("the server rejected our request due to an error in our request: {step}");
            Refused::new(422, "Invalid", message)
        };
        if step["op"] == "test" {
            if into.pointer(pointer) != Some(&step["value"]) {
                return Err(failed());
            }
            continue;
        }
        let parent = into.pointer_mut(parent).ok_or_else(failed)?;
        match (object::text(step, "/op"), parent) {
            ("add" | "replace", Value::Object(map)) => {
                map.insert(last, step["value"].clone());
            }
            ("remove", Value::Object(map)) => {
                map.remove(&last).ok_or_else(failed)?;
            }
            ("add", Value::Array(items)) if last == "-" => items.push(step["value"].clone()),
            ("remove", Value::Array(items)) => {
                let at: usize = last.parse().map_err(|_| failed())?;
                if at >= items.len() {
                    return Err(failed());
                }
                items.remove(at);
            }
            _ => return Err(failed()),
        }
    }
    Ok(())
}

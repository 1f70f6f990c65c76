//! Lays one object over another, by the rules of a strategic merge patch.
//!
//! Maps are merged and `null` removes a field. A list of objects is merged element by element
//! where Kubernetes knows it by a key (containers by `name`, mounts by `mountPath`), and an
//! element with `$patch: delete` is removed; any other list is replaced as a whole. The keys are
//! those that the API gives as `patchMergeKey` in a pod template
//! (<https://github.com/kubernetes/api/blob/master/core/v1/types.go>).

use serde_json::{Map, Value};

/// Lists that are merged, and the key that tells their elements apart.
const MERGE_KEYS: [(&str, &str); 13] = [
    ("claims", "name"),
    ("containers", "name"),
    ("env", "name"),
    ("ephemeralContainers", "name"),
    ("hostAliases", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ports", "containerPort"),
    ("resourceClaims", "name"),
    ("schedulingGates", "name"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// Why an overlay cannot be laid over the pod template of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Dotted path of the field.
    pub field: String,
    /// What is wrong.
    pub problem: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
}

/// Finds what would vanish in the merge, or keep a Job from seeing how its workers end.
pub fn fault(overlay: &Value) -> Option<Fault> {
    let mut fields = overlay.as_object().into_iter().flat_map(Map::keys);
    if let Some(unknown) = fields.find(|field| !["metadata", "spec"].contains(&field.as_str())) {
        return Some(Fault {
            field: unknown.clone(),
            problem: "is no field of a pod template",
            remedy: "put it below `spec` or `metadata`",
        });
    }
    let policy = &overlay["spec"]["restartPolicy"];
    (!policy.is_null() && policy != "Never").then(|| Fault {
        field: "spec.restartPolicy".to_owned(),
        problem: "can only be `Never`",
        remedy: "remove it: a worker that ends is replaced by its Job",
    })
}

/// `base` with `overlay` laid over it.
///
/// An overlay of `{}` changes nothing, and laying the same overlay twice changes nothing more.
pub fn merge(base: &Value, overlay: &Value) -> Value {
    merge_field("", Some(base), overlay)
}

/// What a field holds then; `null` within `overlay` removes, whether there was something or not.
fn merge_field(field: &str, base: Option<&Value>, overlay: &Value) -> Value {
    match overlay {
        Value::Object(overlay) => {
            let mut merged = base.and_then(Value::as_object).cloned().unwrap_or_default();
            merge_maps(&mut merged, overlay);
            Value::Object(merged)
        }
        Value::Array(overlay) => match merge_key(field).filter(|key| all_named(overlay, key)) {
            Some(key) => {
                let base = base.and_then(Value::as_array).filter(|base| all_named(base, key));
                let mut merged = base.cloned().unwrap_or_default();
                merge_lists(&mut merged, overlay, key);
                Value::Array(merged)
            }
            None => overlay.iter().map(|element| merge_field("", None, element)).collect(),
        },
        plain => plain.clone(),
    }
}

fn merge_maps(merged: &mut Map<String, Value>, overlay: &Map<String, Value>) {
    for (field, value) in overlay {
        if value.is_null() {
            merged.remove(field);
        } else {
            let value = merge_field(field, merged.get(field), value);
            merged.insert(field.clone(), value);
        }
    }
}

/// Elements that both have are merged where they stand; new ones follow.
fn merge_lists(merged: &mut Vec<Value>, overlay: &[Value], key: &str) {
    for element in overlay {
        let at = merged.iter().position(|under| under[key] == element[key]);
        match at {
            Some(at) if is_delete(element) => {
                merged.remove(at);
            }
            Some(at) => merged[at] = merge_field("", Some(&merged[at]), element),
            None if is_delete(element) => {}
            None => merged.push(merge_field("", None, element)),
        }
    }
}

fn merge_key(field: &str) -> Option<&'static str> {
    MERGE_KEYS.iter().find(|(list, _)| *list == field).map(|(_, key)| *key)
}

fn all_named(list: &[Value], key: &str) -> bool {
    list.iter().all(|element| element.get(key).is_some_and(|name| !name.is_null()))
}

fn is_delete(element: &Value) -> bool {
    element["$patch"] == "delete"
}

#[cfg(test)]
mod tests;

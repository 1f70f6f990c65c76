//! Sets of fields, as `metadata.managedFields` writes them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Steps from the root of an object: `f:name`, `k:{"name":"worker"}` or `v:"value"`.
pub type Path = Vec<String>;

/// Fields of an object. An item of a keyed list is in it by itself, beside its fields.
pub type Fields = BTreeSet<Path>;

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Items are told apart by these fields.
    ByKeys(&'static [&'static str]),
    /// Items are values.
    Set,
    /// The whole list is one value.
    Atomic,
}

/// How the list in a field of this name is merged.
pub fn merge_of(field: &str) -> Merge {
    match field {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" | "secrets" => {
            Merge::ByKeys(&["name"])
        }
        "volumeMounts" => Merge::ByKeys(&["mountPath"]),
        "ports" => Merge::ByKeys(&["containerPort", "protocol"]),
        "conditions" => Merge::ByKeys(&["type"]),
        "ownerReferences" => Merge::ByKeys(&["uid"]),
        "topologySpreadConstraints" => Merge::ByKeys(&["topologyKey", "whenUnsatisfiable"]),
        "hostAliases" => Merge::ByKeys(&["ip"]),
        "finalizers" => Merge::Set,
        _ => Merge::Atomic,
    }
}

/// Whether a map in a field of this name is one value.
fn is_atomic(field: &str) -> bool {
    matches!(
        field,
        "nodeSelector"
            | "fieldRef"
            | "configMapKeyRef"
            | "secretKeyRef"
            | "resourceFieldRef"
            | "selector"
    )
}

/// What tells an item of a keyed list apart.
pub fn key_of(item: &Value, keys: &[&str]) -> String {
    let mut key = Map::new();
    for name in keys {
        let value = match item.get(*name) {
            Some(value) => value.clone(),
            None if *name == "protocol" => json!("TCP"),
            None => Value::Null,
        };
        key.insert((*name).to_owned(), value);
    }
    format!("k:{}", Value::Object(key))
}

/// The fields that an object or a patch sets, without those that name the object.
pub fn of(object: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if matches!(
                        name.as_str(),
                        "labels" | "annotations" | "ownerReferences" | "finalizers"
                    ) {
                        let path = vec!["f:metadata".to_owned(), format!("f:{name}")];
                        collect(value, name, path, &mut fields);
                    }
                }
            }
            _ => collect(value, name, vec![format!("f:{name}")], &mut fields),
        }
    }
    fields
}

fn collect(value: &Value, field: &str, path: Path, fields: &mut Fields) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic(field) => {
            for (name, value) in map {
                let mut path = path.clone();
                path.push(format!("f:{name}"));
                collect(value, name, path, fields);
            }
        }
        Value::Array(items) if !items.is_empty() => match merge_of(field) {
            Merge::Atomic => {
                fields.insert(path);
            }
            Merge::Set => {
                for item in items {
                    let mut path = path.clone();
                    path.push(format!("v:{item}"));
                    fields.insert(path);
                }
            }
            Merge::ByKeys(keys) => {
                for item in items {
                    let mut path = path.clone();
                    path.push(key_of(item, keys));
                    fields.insert(path.clone());
                    collect(item, "", path, fields);
                }
            }
        },
        _ => {
            fields.insert(path);
        }
    }
}

/// Whether a value is written like this in a path.
fn is_value(item: &Value, written: &str) -> bool {
    serde_json::from_str::<Value>(written).is_ok_and(|value| value == *item)
}

/// The value at a path.
pub fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let Some((step, rest)) = path.split_first() else { return Some(object) };
    let next = match step.split_at(2) {
        ("f:", name) => object.get(name)?,
        ("k:", key) => object.as_array()?.iter().find(|item| has_key(item, key))?,
        (_, value) => object.as_array()?.iter().find(|item| is_value(item, value))?,
    };
    at(next, rest)
}

/// Removes what is at a path, and maps and lists that are empty then.
pub fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    let (kind, name) = step.split_at(2);
    match (kind, object) {
        ("f:", Value::Object(map)) => {
            let Some(inner) = map.get_mut(name) else { return };
            if !rest.is_empty() {
                remove(inner, rest);
            }
            let empty = matches!(inner, Value::Object(map) if map.is_empty())
                || matches!(inner, Value::Array(items) if items.is_empty());
            if rest.is_empty() || empty {
                map.remove(name);
            }
        }
        (_, Value::Array(items)) => {
            let found = items.iter().position(|item| match kind {
                "k:" => has_key(item, name),
                _ => is_value(item, name),
            });
            let Some(found) = found else { return };
            if rest.is_empty() {
                items.remove(found);
            } else {
                remove(&mut items[found], rest);
            }
        }
        _ => {}
    }
}

fn has_key(item: &Value, key: &str) -> bool {
    let key: Value = serde_json::from_str(key).unwrap();
    key.as_object().unwrap().iter().all(|(name, value)| match item.get(name) {
        Some(known) => known == value,
        None => value.is_null() || name == "protocol" && value == "TCP",
    })
}

/// A path as messages write it: `.spec.template.spec.containers[name="worker"].image`.
pub fn display(path: &[String]) -> String {
    let mut said = String::new();
    for step in path {
        match step.split_at(2) {
            ("f:", name) => said.push_str(&format!(".{name}")),
            ("k:", key) => {
                let key: Value = serde_json::from_str(key).unwrap();
                let terms: Vec<String> = key
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                said.push_str(&format!("[{}]", terms.join(",")));
            }
            (_, value) => said.push_str(&format!("[={value}]")),
        }
    }
    said
}

/// As `fieldsV1`.
pub fn encode(fields: &Fields) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut node = &mut root;
        for step in path {
            node = &mut node[step];
            if node.is_null() {
                *node = json!({});
            }
        }
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            node["."] = json!({});
        }
    }
    root
}

/// From `fieldsV1`.
pub fn decode(value: &Value) -> Fields {
    let mut fields = Fields::new();
    read(value, &mut Path::new(), &mut fields);
    fields
}

fn read(value: &Value, path: &mut Path, fields: &mut Fields) {
    let Some(map) = value.as_object() else { return };
    if map.is_empty() || map.contains_key(".") {
        fields.insert(path.clone());
    }
    for (step, inner) in map.iter().filter(|(step, _)| *step != ".") {
        path.push(step.clone());
        read(inner, path, fields);
        path.pop();
    }
}

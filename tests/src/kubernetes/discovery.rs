//! What the API has, for clients that ask before they call.

use serde_json::{Value, json};

use super::resource::{GROUPS, RESOURCES, Resource};

/// The document at a path, if it is one of these.
pub fn document(path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => Some(json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "",
            "gitTreeState": "clean", "buildDate": "2026-04-22T00:00:00Z", "goVersion": "go1.26",
            "compiler": "gc", "platform": "linux/amd64",
        })),
        ["healthz" | "readyz" | "livez", ..] => Some(json!("ok")),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => {
            let groups: Vec<Value> = GROUPS.iter().map(|name| group(name)).collect();
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", name] if GROUPS.contains(name) => Some(group(name)),
        ["api", "v1"] => Some(resources("")),
        ["apis", name, "v1"] if GROUPS.contains(name) => Some(resources(name)),
        ["openapi", "v3"] => Some(openapi()),
        ["openapi", "v3", "api", "v1"] => Some(openapi_of("")),
        ["openapi", "v3", "apis", name, "v1"] => Some(openapi_of(name)),
        _ => None,
    }
}

fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version],
        "preferredVersion": version,
    })
}

fn of_group(group: &str) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(move |resource| resource.group == group)
}

fn resources(group: &str) -> Value {
    let mut list = Vec::new();
    for resource in of_group(group) {
        let verbs =
            ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        list.push(json!({
            "name": resource.plural, "singularName": resource.kind.to_lowercase(),
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs,
            "shortNames": resource.short,
        }));
        if resource.status {
            list.push(json!({
                "name": format!("{}/status", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind,
                "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
        "resources": list,
    })
}

fn openapi() -> Value {
    let mut paths = json!({ "api/v1": { "serverRelativeURL": "/openapi/v3/api/v1" } });
    for name in GROUPS {
        let url = format!("/openapi/v3/apis/{name}/v1");
        paths[format!("apis/{name}/v1")] = json!({ "serverRelativeURL": url });
    }
    json!({ "paths": paths })
}

/// As little as tells `kubectl` that the server itself refuses unknown fields.
fn openapi_of(group: &str) -> Value {
    let root = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
    let mut paths = json!({});
    for resource in of_group(group) {
        let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("{root}{namespace}/{}/{{name}}", resource.plural);
        paths[path] = json!({ "patch": {
            "parameters": [
                { "name": "fieldValidation", "in": "query", "schema": { "type": "string" } },
                { "name": "dryRun", "in": "query", "schema": { "type": "string" } },
            ],
            "responses": {},
            "x-kubernetes-group-version-kind":
                { "group": group, "version": "v1", "kind": resource.kind },
        } });
    }
    json!({ "openapi": "3.0.0", "info": { "title": "Kubernetes", "version": "v1.36.0" }, "paths": paths })
}

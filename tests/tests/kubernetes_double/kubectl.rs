//! `kubectl` speaks to the double as to any cluster.

use nightshift_tests::kubernetes::Kubernetes;

const CONFIG_MAP: &str = r#"{ "apiVersion": "v1", "kind": "ConfigMap",
    "metadata": { "name": "facts", "labels": { "app": "a" } }, "data": { "key": "1", "other": "x" } }"#;

fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("object.json");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn it_applies_gets_and_deletes() {
    let cluster = Kubernetes::start();
    let folder = tempfile::TempDir::new().unwrap();
    let path = file(&folder, CONFIG_MAP);
    let done = cluster.kubectl(&["apply", "-f", &path]).expect(0);
    assert_eq!(done.stdout.trim(), "configmap/facts created");
    let done = cluster.kubectl(&["apply", "-f", &path]).expect(0);
    assert_eq!(done.stdout.trim(), "configmap/facts unchanged");
    let path = file(&folder, &CONFIG_MAP.replace(r#", "other": "x""#, ""));
    let done = cluster.kubectl(&["apply", "-f", &path]).expect(0);
    assert_eq!(done.stdout.trim(), "configmap/facts configured");
    let data = cluster.get("configmaps", "default", "facts").unwrap()["data"].clone();
    assert_eq!(data, serde_json::json!({ "key": "1" }));
    let got = cluster.kubectl(&["get", "cm", "-l", "app=a", "-o", "name"]).expect(0);
    assert_eq!(got.stdout.trim(), "configmap/facts");
    cluster.kubectl(&["delete", "cm", "facts"]).expect(0);
    assert!(cluster.get("configmaps", "default", "facts").is_none());
    let gone = cluster.kubectl(&["get", "cm", "facts"]).expect(1);
    assert!(gone.stderr.contains(r#"configmaps "facts" not found"#), "{gone}");
}

#[test]
fn it_is_told_of_unknown_fields_and_of_conflicts() {
    let cluster = Kubernetes::start();
    let folder = tempfile::TempDir::new().unwrap();
    let path = file(&folder, &CONFIG_MAP.replace("\"data\"", "\"dta\""));
    let refused = cluster.kubectl(&["apply", "-f", &path]).expect(1);
    assert!(refused.stderr.contains(r#"unknown field "dta""#), "{refused}");
    let path = file(&folder, CONFIG_MAP);
    let apply = ["apply", "--server-side", "--field-manager", "one", "-f", &path];
    cluster.kubectl(&apply).expect(0);
    let path = file(&folder, &CONFIG_MAP.replace("\"1\"", "\"2\""));
    let mut apply = ["apply", "--server-side", "--field-manager", "two", "-f", &path].to_vec();
    let refused = cluster.kubectl(&apply).expect(1);
    assert!(refused.stderr.contains(r#"conflict with "one" using v1: .data.key"#), "{refused}");
    apply.push("--force-conflicts");
    cluster.kubectl(&apply).expect(0);
    let data = cluster.get("configmaps", "default", "facts").unwrap()["data"].clone();
    assert_eq!(data["key"], "2");
}

//! Manifests against the published schemas of Kubernetes 1.34 to 1.37, strictly.

use std::path::{Path, PathBuf};

use nightshift_tests::binaries::repository;
use nightshift_tests::tools;
use serde_json::Value;

use crate::rendering;

fn findings(files: &[PathBuf]) -> (u64, Vec<Value>) {
    let answer = tools::script("deploy/schemas.py", files);
    (answer["checked"].as_u64().unwrap(), answer["findings"].as_array().unwrap().clone())
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            found.push(path);
        }
    }
}

#[test]
fn every_manifest_is_valid_for_every_supported_kubernetes() {
    let mut files = Vec::new();
    yaml_files(&repository().join("deploy"), &mut files);
    let (checked, findings) = findings(&files);
    assert!(checked >= 80, "only {checked} documents were looked at");
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn every_kustomization_renders_valid_manifests() {
    let folder = tempfile::tempdir().unwrap();
    for rendered in rendering::all() {
        let (checked, findings) = findings(&[rendered.write(folder.path())]);
        assert!(checked >= 40, "{}: only {checked} documents were looked at", rendered.name);
        assert!(findings.is_empty(), "{}: {findings:#?}", rendered.name);
    }
}

#[test]
fn damage_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = rendering::overlay("quickstart");
    for (old, new) in [
        ("terminationGracePeriodSeconds:", "terminationGraceSeconds:"),
        ("backoffLimit: 3", "backoffLimit: three"),
        ("kind: StatefulSet", "kind: StatefullSet"),
        ("apiVersion: apps/v1", "apiVersion: apps/v1beta2"),
        ("  replicas: 1\n", "  replicas: 1\n  replicas: 2\n"),
    ] {
        assert!(quickstart.text.contains(old), "`{old}` is not in the output");
        let file = folder.path().join("damaged.yaml");
        std::fs::write(&file, quickstart.text.replacen(old, new, 1)).unwrap();
        assert!(!findings(&[file]).1.is_empty(), "`{new}` went unseen");
    }
}

#[test]
fn with_kueue_the_job_template_has_a_queue_and_nothing_else_is_different() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let component = "    app.kubernetes.io/component: worker\n";
    let queued = format!("{component}    kueue.x-k8s.io/queue-name: nightshift\n");
    assert_eq!(
        read("deploy/components/kueue/worker-job.yaml"),
        read("deploy/base/worker-job.yaml").replacen(component, &queued, 1),
        "copy deploy/base/worker-job.yaml and add the label to the metadata of the Job"
    );
}

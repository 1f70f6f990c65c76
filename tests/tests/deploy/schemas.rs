//! Manifests against the published schemas of Kubernetes 1.34 to 1.37, strictly.

use std::path::{Path, PathBuf};

use nightshift_tests::binaries::repository;
use nightshift_tests::process::Program;
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
fn what_a_job_that_submits_needs_for_tls_fits_it() {
    let deploy = repository().join("deploy");
    let patched = Program::new("kubectl")
        .args(["patch", "--local", "--type", "strategic", "-o", "json", "-f"])
        .arg(deploy.join("samples/submit-job.yaml"))
        .arg("--patch-file")
        .arg(deploy.join("components/grpc-tls/submit-patch.yaml"))
        .run()
        .expect(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("submit.yaml");
    std::fs::write(&file, &patched.stdout).unwrap();
    let (checked, findings) = findings(&[file]);
    assert!(checked >= 4 && findings.is_empty(), "{findings:#?}");
    let job: Value = serde_json::from_str(&patched.stdout).unwrap();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let addresses = container["env"].as_array().unwrap().iter();
    let addresses: Vec<_> = addresses.filter(|it| it["name"] == "NIGHTSHIFT_COORDINATOR").collect();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    assert_eq!(addresses[0]["value"], "https://nightshift-coordinator:7070");
    assert_eq!(container["volumeMounts"].as_array().unwrap().len(), 2);
}

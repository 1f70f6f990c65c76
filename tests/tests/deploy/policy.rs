//! The rendered output against the rules of an installation.

use std::path::{Path, PathBuf};

use nightshift_tests::binaries::repository;
use nightshift_tests::process::Program;
use nightshift_tests::tools;
use serde_json::Value;

use crate::rendering::{self, Rendered};

fn findings(rendered: &Rendered, folder: &Path) -> (u64, Vec<String>) {
    let file = rendered.write(folder);
    let mut arguments = vec![file.into_os_string()];
    for external in rendered.external {
        arguments.extend(["--external".into(), (*external).into()]);
    }
    let answer = tools::script("deploy/policy.py", arguments);
    let findings = answer["findings"].as_array().unwrap().iter();
    let findings = findings.map(|finding| finding.as_str().unwrap().to_owned()).collect();
    (answer["pods"].as_u64().unwrap(), findings)
}

#[test]
fn every_kustomization_keeps_to_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    for rendered in rendering::all() {
        let (pods, findings) = findings(&rendered, folder.path());
        assert!(pods >= 2, "{}: only {pods} pods", rendered.name);
        assert!(findings.is_empty(), "{}: {findings:#?}", rendered.name);
    }
}

#[test]
fn lint_finds_no_mistake_in_what_is_installed_nor_in_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let lint = |files: Vec<PathBuf>| {
        let done =
            Program::nightshift().args(["lint", "--output-format", "json"]).args(files).run();
        let said: Value = serde_json::from_str(&done.expect(0).stdout).unwrap();
        let findings = said["findings"].as_array().unwrap().iter();
        findings.map(|one| one["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for rendered in rendering::all() {
        let findings = lint(vec![rendered.write(folder.path())]);
        assert!(findings.is_empty(), "{}: {findings:?}", rendered.name);
    }
    let samples = std::fs::read_dir(repository().join("deploy/samples")).unwrap();
    let findings = lint(samples.map(|entry| entry.unwrap().path()).collect());
    assert!(findings.is_empty(), "{findings:?}");
}

/// What is changed in the quickstart, and what must be said of it.
const DAMAGE: &[(&str, &str, &str)] = &[
    ("runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot is not true"),
    ("runAsUser: 65532", "runAsUser: 0", "user or group"),
    ("type: RuntimeDefault", "type: Unconfined", "no seccompProfile"),
    (
        "allowPrivilegeEscalation: false",
        "allowPrivilegeEscalation: true",
        "allowPrivilegeEscalation",
    ),
    ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can be written"),
    ("            - ALL\n", "            - KILL\n", "capabilities"),
    ("limits:\n            memory", "limits:\n            cpu", "no memory limit"),
    ("nightshift-coordinator:0.1.0", "nightshift-coordinator:latest", "no fixed tag"),
    ("nightshift-sidecar:0.1.0", "nightshift-sidecar", "no fixed tag"),
    ("--log-format=json", "--redis=redis://:secret@redis:6379", "an argument has a password"),
    ("name: nightshift-redis\n", "name: other\n", "Secret nightshift-redis is not there"),
    ("key: REDIS_URL", "key: URL", "has no key URL"),
    ("claimName: nightshift-data", "claimName: data", "PersistentVolumeClaim data"),
    (
        "serviceAccountName: nightshift-worker",
        "serviceAccountName: worker",
        "ServiceAccount worker",
    ),
    ("containerPort: 7070\n          name: grpc", "containerPort: 7070", "has no name"),
    ("targetPort: grpc", "targetPort: http2", "no port of its pods"),
    (
        "path: /readyz\n            port: http",
        "path: /readyz\n            port: web",
        "readinessProbe",
    ),
    ("  - watch\n", "  - '*'\n", "a wildcard"),
    ("  - configmaps\n", "  - secrets\n", "rights on"),
    ("kind: Role\nmetadata", "kind: ClusterRole\nmetadata", "whole cluster"),
    ("- port: 53\n", "- port: 6443\n", "lets workers out"),
    ("        - backfill\n", "        - worker\n", "workers"),
    ("    - port: 7070\n", "    - port: 7079\n", "backfill: no policy lets it out"),
    ("    - port: 7070\n", "    - port: 7079\n", "the coordinator does not let it in"),
    (
        "pod-security.kubernetes.io/enforce: restricted",
        "pod-security.kubernetes.io/enforce: baseline",
        "does not enforce",
    ),
    ("  namespace: nightshift\n", "  namespace: elsewhere\n", "outside of the namespace"),
    ("  podSelector: {}\n", "  podSelector:\n    matchLabels:\n      a: b\n", "selects no pod"),
];

#[test]
fn every_rule_sees_what_it_is_there_for() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = rendering::overlay("quickstart");
    for (old, new, said) in DAMAGE {
        assert!(quickstart.text.contains(old), "`{old}` is not in the output");
        let text = quickstart.text.replace(old, new);
        let damaged = Rendered { name: "damaged".to_owned(), text, external: &[] };
        let (_, findings) = findings(&damaged, folder.path());
        assert!(
            findings.iter().any(|finding| finding.contains(said)),
            "of `{new}` nothing says `{said}`: {findings:#?}"
        );
    }
}

#[test]
fn components_that_add_to_the_pods_of_runs_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let text = rendering::with_components(&["kueue", "grpc-tls", "collector", "tracing"]);
    for part in ["queue", "tls", "traces"] {
        let argument = format!("--job-overlay=/etc/nightshift/{part}-overlay.yaml");
        assert!(text.contains(&argument), "{argument} is not in the output");
        assert!(text.contains(&format!("  {part}-overlay.yaml: |")), "{part} is not mounted");
    }
    assert!(text.contains("appProtocol: https"), "the Service says h2c");
    assert!(!text.contains("http://nightshift-coordinator:7070"), "workers are told http://");
    let external = &["Secret/nightshift-coordinator-tls", "Secret/nightshift-worker-tls"];
    let rendered = Rendered { name: "both".to_owned(), text, external };
    let (_, said) = findings(&rendered, folder.path());
    assert!(said.is_empty(), "{said:#?}");

    // Without the Secret of the workers the pods of runs would wait for ever.
    let rendered = Rendered { external: &external[..1], ..rendered };
    let (_, said) = findings(&rendered, folder.path());
    assert!(said.iter().any(|it| it.contains("Secret nightshift-worker-tls")), "{said:#?}");
}

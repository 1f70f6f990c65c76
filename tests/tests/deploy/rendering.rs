//! The kustomizations of `deploy/`, rendered.

use std::path::{Path, PathBuf};

use nightshift_tests::binaries::repository;
use nightshift_tests::tools;

/// A kustomization, and what it expects to be in the cluster already.
pub(crate) struct Rendered {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) external: &'static [&'static str],
}

impl Rendered {
    /// Written to a file in `folder`.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join(format!("{}.yaml", self.name));
        std::fs::write(&file, &self.text).unwrap();
        file
    }
}

/// What the overlay `name` renders to.
pub(crate) fn overlay(name: &str) -> Rendered {
    let external = external(name);
    let text = tools::kustomize(&repository().join("deploy/overlays").join(name));
    Rendered { name: name.to_owned(), text, external }
}

/// Every overlay, and every component on top of the quickstart, or of the base where that has
/// the component.
pub(crate) fn all() -> Vec<Rendered> {
    let mut all: Vec<_> = folders("overlays").iter().map(|name| overlay(name)).collect();
    all.extend(folders("components").iter().map(|name| with_component(name)));
    assert!(all.len() >= 8, "{} kustomizations are too few", all.len());
    all
}

/// The quickstart with one component more, and with what that one needs.
fn with_component(name: &str) -> Rendered {
    let text = match name {
        "tracing" => with_components(&["collector", name]),
        _ => with_components(&[name]),
    };
    Rendered { name: format!("with-{name}"), text, external: external(name) }
}

/// What the quickstart with these components renders to. Kustomize follows relative paths only, so
/// the folder is copied.
pub(crate) fn with_components(names: &[&str]) -> String {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&repository().join("deploy"), copy.path());
    let own = copy.path().join("overlays/tried");
    std::fs::create_dir(&own).unwrap();
    let quickstart = repository().join("deploy/overlays/quickstart/kustomization.yaml");
    let quickstart = std::fs::read_to_string(quickstart).unwrap();
    let lines = names.iter().map(|name| format!("  - ../../components/{name}\n"));
    let new: String = lines.filter(|line| !quickstart.contains(line)).collect();
    let components = if new.is_empty() { new } else { format!("components:\n{new}") };
    let text = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
         namespace: nightshift\nresources:\n  - ../quickstart\n{components}"
    );
    std::fs::write(own.join("kustomization.yaml"), text).unwrap();
    tools::kustomize(&own)
}

fn external(name: &str) -> &'static [&'static str] {
    match name {
        "production" => &["Secret/nightshift-redis"],
        "tls" => &["ConfigMap/nightshift-redis-ca"],
        "grpc-tls" => &["Secret/nightshift-coordinator-tls", "Secret/nightshift-worker-tls"],
        _ => &[],
    }
}

fn folders(below: &str) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(repository().join("deploy").join(below))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

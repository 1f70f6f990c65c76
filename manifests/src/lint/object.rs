//! A Job or CronJob as the rules look at it.

use std::collections::HashMap;

use super::Options;
use super::fix::{self, Fix};
use super::read::Document;
use super::tree::{Entry, Node, Place};

/// What rules know beside the object itself.
pub(super) struct Facts {
    pub(super) options: Options,
    /// Access modes of the claims in all files, by name.
    pub(super) claims: HashMap<String, Vec<String>>,
}

/// A mapping of an object, and the key under which it stands.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) at: Place,
    pub(super) node: &'a Node,
    text: &'a str,
    document: usize,
    editable: bool,
}

/// A container of the pod.
#[derive(Clone, Copy)]
pub(super) struct Container<'a> {
    pub(super) section: Section<'a>,
    pub(super) name: &'a str,
    /// Runs before the others, or beside them as a native sidecar.
    pub(super) init: bool,
}

/// A Job, or a CronJob and the Job in it.
pub(super) struct Workload<'a> {
    /// `CronJob nightly`.
    pub(super) label: String,
    pub(super) root: &'a Node,
    /// The name, where one is written.
    pub(super) name: Option<&'a Node>,
    /// `spec` of a CronJob.
    pub(super) cron: Option<Section<'a>>,
    /// `spec` of the Job.
    pub(super) job: Option<Section<'a>>,
    /// `spec` of the pods.
    pub(super) pod: Option<Section<'a>>,
    pub(super) containers: Vec<Container<'a>>,
}

impl<'a> Workload<'a> {
    /// The object as a workload, if it is a Job or a CronJob.
    pub(super) fn of(
        root: &'a Node,
        document: &Document,
        number: usize,
        text: &'a str,
    ) -> Option<Self> {
        let kind = root.text_at("kind").filter(|kind| matches!(*kind, "Job" | "CronJob"))?;
        // Other groups have a Job too: that of Volcano is another thing.
        root.text_at("apiVersion").filter(|version| version.starts_with("batch/"))?;
        let name = root.at_path(&["metadata", "name"]);
        let generated = root.at_path(&["metadata", "generateName"]);
        let shown = name.or(generated).and_then(Node::text).unwrap_or("without a name");
        let whole = Section {
            at: root.at,
            node: root,
            text,
            document: number,
            editable: !document.shared && document.template.is_none(),
        };
        let spec = whole.section("spec");
        let (cron, job) = match kind {
            "CronJob" => (spec, spec.and_then(|it| it.section("jobTemplate")?.section("spec"))),
            _ => (None, spec),
        };
        let pod = job.and_then(|it| it.section("template")?.section("spec"));
        let mut containers = Vec::new();
        for (key, init) in [("initContainers", true), ("containers", false)] {
            let items = pod.and_then(|pod| pod.node.get(key)).map(Node::items).unwrap_or_default();
            containers.extend(items.iter().filter(|item| item.is_mapping()).map(|node| {
                Container {
                    section: Section { at: node.at, node, ..whole },
                    name: node.text_at("name").unwrap_or("without a name"),
                    init,
                }
            }));
        }
        let label = format!("{kind} {shown}");
        Some(Self { label, root, name, cron, job, pod, containers })
    }

    /// Whether the Job numbers its pods.
    pub(super) fn is_indexed(&self) -> bool {
        self.job.is_some_and(|job| job.node.text_at("completionMode") == Some("Indexed"))
    }

    /// Pods at the same time.
    pub(super) fn parallelism(&self) -> i64 {
        self.job.and_then(|job| job.node.integer_at("parallelism")).unwrap_or(1)
    }

    /// Containers that must end before the Job does.
    pub(super) fn mains(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().filter(|container| !container.init)
    }
}

impl<'a> Section<'a> {
    /// The mapping at a key.
    pub(super) fn section(self, key: &str) -> Option<Self> {
        let Entry { at, value, .. } = self.node.entry(key)?;
        value.is_mapping().then_some(Self { at: *at, node: value, ..self })
    }

    /// Where a finding about a key stands: at the key, or where it is missing.
    pub(super) fn place(self, key: &str) -> Place {
        self.node.entry(key).map_or(self.at, |entry| entry.at)
    }

    /// The edit that gives a key a value, where one can be made safely.
    pub(super) fn set(self, key: &'static str, value: &'static str) -> Option<Fix> {
        if !self.editable {
            return None;
        }
        fix::set(self.text, self.document, self.node, key, value)
    }
}

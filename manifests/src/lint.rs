//! `nightshift lint`: the usual mistakes of batch work, found in any Job or CronJob.
//!
//! [`lint`] takes texts and gives [`Finding`]s; [`fix`] edits a text in place. Nothing here reads a
//! file or a cluster. A rule is a [`Rule`] with a function beside it, in [`rules`]; the order of
//! work is `read` (text to trees) → `object` (trees to Jobs) → `rules` → `ignore`.

use std::collections::HashMap;

mod catalogue;
mod cron;
mod diff;
mod fields;
mod fix;
mod ignore;
mod manual;
mod object;
mod read;
mod rules;
mod sarif;
mod tree;
mod version;

pub use catalogue::rules;
pub use diff::diff;
pub use fix::{Change, Fixed, fix};
pub use manual::manual;
pub use read::MAX_BYTES;
pub use sarif::sarif;
pub use tree::Place;
pub use version::{InvalidVersion, Version};

use object::{Facts, Workload};
use read::Stream;
use rules::Found;
use tree::Node;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It will hurt one night.
    Warning,
    /// Kubernetes refuses it, or it cannot work.
    Error,
}

impl Severity {
    /// The word that people read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in reports and in comments that silence it.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is looked for.
    pub what: &'static str,
    /// Why it hurts.
    pub why: &'static str,
    /// What to write instead.
    pub remedy: &'static str,
    /// Whether [`fix`] can mend it.
    pub fixable: bool,
}

/// A file to look at.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in findings.
    pub name: String,
    /// What is in it, as far as it is text.
    pub text: String,
    /// Where the first byte is that is no UTF-8.
    pub(crate) not_text: Option<Place>,
}

impl Source {
    /// A file of text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), not_text: None }
    }

    /// A file of any bytes. One that is not UTF-8 is found to be unreadable, and never mended: the
    /// bytes that are no text would be lost.
    pub fn of_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let error = match String::from_utf8(bytes) {
            Ok(text) => return Self::new(name, text),
            Err(error) => error,
        };
        let offset = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(offset);
        let text = String::from_utf8(bytes).unwrap_or_default();
        let last = text.rsplit('\n').next().unwrap_or_default();
        let (line, column) = (text.matches('\n').count() + 1, last.chars().count() + 1);
        Self { name: name.into(), text, not_text: Some(Place { line, column, offset }) }
    }
}

/// What the rules must know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The Kubernetes that the files are meant for.
    pub kubernetes: Version,
}

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// Which source, counted from 0.
    pub source: usize,
    /// Where in it.
    pub at: Place,
    /// Kind and name of the object, such as `CronJob nightly`; empty for a whole file.
    pub object: String,
    /// What is wrong here.
    pub message: String,
    pub(crate) fix: Option<fix::Fix>,
}

impl Finding {
    /// Whether [`fix`] can mend this one.
    pub fn is_fixable(&self) -> bool {
        self.fix.is_some()
    }
}

/// What [`lint`] saw.
#[derive(Debug, Default)]
pub struct Report {
    /// By source, then by place.
    pub findings: Vec<Finding>,
    /// Jobs and CronJobs that were looked at.
    pub workloads: usize,
    /// Findings that comments silenced.
    pub silenced: usize,
}

/// Looks at all sources together: a volume claim in one may be used by a Job in another.
pub fn lint(sources: &[Source], options: Options) -> Report {
    let streams: Vec<Stream> = sources.iter().map(read::source).collect();
    let facts = Facts { options, claims: claims(&streams) };
    let mut report = Report::default();
    for (index, (source, stream)) in sources.iter().zip(&streams).enumerate() {
        let mut found = Found::new(index);
        rules::file::unread(stream, &mut found);
        for (number, document) in stream.documents.iter().enumerate() {
            if rules::file::document(document, &mut found) {
                continue;
            }
            for object in document.root.iter().flat_map(objects) {
                let Some(workload) = Workload::of(object, document, number, &source.text) else {
                    continue;
                };
                report.workloads += 1;
                found.object(workload.label.clone());
                rules::check(&workload, &facts, &mut found);
            }
            found.object(String::new());
        }
        let ignores = ignore::Ignores::read(&stream.comments, &mut found);
        let all = found.into_findings();
        let before = all.len();
        let mut kept: Vec<Finding> = all.into_iter().filter(|it| !ignores.silence(it)).collect();
        report.silenced += before - kept.len();
        kept.sort_by_key(|finding| finding.at);
        report.findings.append(&mut kept);
    }
    report
}

/// The objects in a document: itself, or those of a List.
fn objects(root: &Node) -> Vec<&Node> {
    let is_list = root.text_at("kind").is_some_and(|kind| kind.ends_with("List"));
    match root.get("items") {
        Some(items) if is_list => items.items().iter().collect(),
        _ => vec![root],
    }
}

/// The access modes of every PersistentVolumeClaim.
fn claims(streams: &[Stream]) -> HashMap<String, Vec<String>> {
    let documents = streams.iter().flat_map(|stream| &stream.documents);
    documents
        .flat_map(|document| document.root.iter().flat_map(objects))
        .filter(|object| object.text_at("kind") == Some("PersistentVolumeClaim"))
        .filter_map(|claim| {
            let name = claim.at_path(&["metadata", "name"])?.text()?;
            let modes = claim.at_path(&["spec", "accessModes"])?.items();
            Some((
                name.to_owned(),
                modes.iter().filter_map(Node::text).map(str::to_owned).collect(),
            ))
        })
        .collect()
}

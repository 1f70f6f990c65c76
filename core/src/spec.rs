//! The spec: the user's one document, checked before anything is written.
//!
//! [`Spec::parse`] turns YAML text into values that need no further checks: every name is
//! valid, every placeholder known, every number possible. What the YAML cannot express is
//! refused with the file, line, column, field and the remedy ([`SpecError`]). Where a path in
//! the spec is relative, it is relative to the spec file; [`Spec::bind`] resolves it for one
//! partition and finds an output that would be read as input.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gates::Gates;
use crate::ids::{Digest, Partition, SpecName};
use crate::plan::{
    Device, GenerateSettings, InputFormat, OnnxSettings, OutputFormat, Sharding, TextSettings,
};
use crate::window::Window;

mod bind;
mod check;
mod error;
mod overlap;
mod raw;
mod report;
mod template;

pub use bind::{Bound, Overrides};
pub use error::SpecError;
pub use report::{LineagePlace, LineageSpec, ReportSpec};
pub use template::{Template, TemplateError};

/// Largest spec file, in bytes: a spec is a page, not a data file.
pub const SPEC_MAX_BYTES: usize = 1 << 20;

/// Rows in a shard when the spec does not say: large enough that a commit costs little
/// beside the scoring, small enough that a lost shard costs seconds.
pub const DEFAULT_SHARD_ROWS: u64 = 50_000;

/// A checked spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// `metadata.name`.
    pub name: SpecName,
    /// What to read.
    pub input: Input,
    /// Which model.
    pub model: Model,
    /// What to do with each row.
    pub task: Task,
    /// What to write.
    pub output: Output,
    /// How rows are cut into shards.
    pub sharding: Sharding,
    /// How often to try and how many rows may be bad.
    pub retries: Retries,
    /// Which dates a backfill looks at.
    pub backfill: Backfill,
    /// How many workers, and what their pods look like.
    pub workers: Workers,
    /// What the collector keeps.
    pub retention: Retention,
    /// In which hours shards may be begun; at any time if absent.
    pub window: Option<Window>,
    /// What a run must be like before readers see its output; nothing if absent.
    pub gates: Option<Gates>,
    /// Who is told of a run.
    pub report: ReportSpec,
}

/// `spec.input`.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// File, directory or glob; may hold `{date}` and `{name}`.
    pub uri: Template,
    /// Format, where the file names do not tell.
    pub format: Option<InputFormat>,
    /// Columns that identify a row, at least one.
    pub id: Vec<String>,
    /// More columns to carry over to the output.
    pub keep: Vec<String>,
}

/// `spec.model`.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Model directory; may hold `{name}` and `{model_version}`.
    pub uri: Template,
    /// What people call this version.
    pub version: Option<String>,
    /// The digest that the model must have.
    pub sha256: Option<Digest>,
}

/// `spec.task`.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// A table of features through a multilayer perceptron.
    Tabular,
    /// A column of text through a transformer, to an embedding.
    Embed(TextSettings),
    /// A column of text through a transformer, to a label and its score.
    Classify(TextSettings),
    /// A column of queries and one of texts through a transformer, to a score of each pair.
    Rerank(TextSettings),
    /// A table through the graph of an ONNX file.
    Onnx(OnnxSettings),
    /// A prompt of columns through a transformer, to a text.
    Generate(GenerateSettings),
}

impl Task {
    /// The name in the spec.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tabular => "tabular",
            Self::Embed(_) => "embed",
            Self::Classify(_) => "classify",
            Self::Rerank(_) => "rerank",
            Self::Onnx(_) => "onnx",
            Self::Generate(_) => "generate",
        }
    }

    /// The settings of a task that runs a graph of ONNX.
    pub fn onnx(&self) -> Option<&OnnxSettings> {
        match self {
            Self::Onnx(settings) => Some(settings),
            _ => None,
        }
    }

    /// The settings of a task that reads text.
    pub fn text(&self) -> Option<&TextSettings> {
        match self {
            Self::Tabular | Self::Onnx(_) | Self::Generate(_) => None,
            Self::Embed(settings) | Self::Classify(settings) | Self::Rerank(settings) => {
                Some(settings)
            }
        }
    }

    /// Whether it is computed on a GPU.
    pub fn needs_gpu(&self) -> bool {
        self.text().is_some_and(|settings| settings.device == Device::Cuda)
    }

    /// The same on a processor.
    #[must_use]
    pub fn on_cpu(&self) -> Self {
        let mut task = self.clone();
        if let Self::Embed(settings) | Self::Classify(settings) | Self::Rerank(settings) = &mut task
        {
            settings.device = Device::Cpu;
        }
        task
    }

    /// The settings of a task that writes text.
    pub fn generate(&self) -> Option<&GenerateSettings> {
        match self {
            Self::Generate(settings) => Some(settings),
            _ => None,
        }
    }
}

/// `spec.output`.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Output root; may hold `{name}` and `{model_version}`, never `{date}`.
    pub uri: Template,
    /// Format of the visible files.
    pub format: OutputFormat,
}

/// `spec.retries`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retries {
    /// Attempts of one shard that may end in a crash before it is quarantined.
    pub crashes: u32,
    /// Largest share of a shard's rows that may be rejected.
    pub rejects_max_ratio: f64,
    /// Rejects that a shard may always have.
    pub rejects_min: u64,
}

/// `spec.backfill`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Days back from today, today not counted.
    pub window_days: u32,
    /// Which missing date comes first.
    pub order: Order,
    /// IANA name of the time zone in which a day begins.
    pub timezone: String,
    /// Whether a date that is done is ever done again.
    pub reprocess: Reprocess,
}

/// Which missing date comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// Whether a date that is done is ever done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reprocess {
    /// Never without a recorded request.
    Never,
    /// When the model's digest changed.
    OnModelChange,
    /// When model, input or task settings changed.
    OnAnyChange,
}

/// `spec.workers`: the cluster's business, carried along unread on a laptop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// Worker pods at a time.
    pub parallelism: u32,
    /// Container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Kubernetes `resources` of the worker container, as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<BTreeMap<String, Value>>,
    /// A raw overlay over the pod template, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<BTreeMap<String, Value>>,
}

impl Default for Workers {
    /// What a spec means that says nothing: one worker, as the template describes it.
    fn default() -> Self {
        Self { parallelism: 1, image: None, resources: None, pod_template: None }
    }
}

/// `spec.retention`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Succeeded runs to keep for each date.
    pub succeeded: u32,
    /// Failed runs to keep for each date.
    pub failed: u32,
    /// How long the files of a superseded generation stay.
    pub superseded: SignedDuration,
}

impl Spec {
    /// Parses and checks the text of a spec; `file` is only used in messages.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and what to write instead.
    pub fn parse(file: &str, text: &str) -> Result<Self, SpecError> {
        check::parse(file, text)
    }

    /// The same spec with another model version.
    ///
    /// # Errors
    /// The remedy, if `version` cannot be one.
    pub fn with_model_version(mut self, version: &str) -> Result<Self, &'static str> {
        if !check::is_version(version) {
            return Err(check::VERSION_REMEDY);
        }
        self.model.version = Some(version.to_owned());
        Ok(self)
    }

    /// Whether runs of this spec have a date.
    pub fn is_dated(&self) -> bool {
        self.input.uri.has_date()
    }

    /// Whether this spec can have a run for `partition`.
    pub fn accepts(&self, partition: Partition) -> bool {
        self.is_dated() == matches!(partition, Partition::Date(_))
    }
}

#[cfg(test)]
mod tests;

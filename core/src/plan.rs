//! The plan: the immutable list of shards of one run, each with its pinned input.
//!
//! A plan is written once, before any shard is leased, and every process that joins the run
//! works from the stored bytes. It says exactly which rows belong to which shard
//! ([`Shard::slices`]), of which version of which file ([`InputFile::pin`]), with which model
//! ([`ModelIdentity`]). Cutting is arithmetic only ([`cut`]), so the same input and settings
//! give the same shards everywhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gates::GatePlan;
use crate::ids::{Digest, Generation, Partition, RunId, ShardIndex, SpecName};
use crate::model::PinnedModel;
use crate::spec::{Task, Workers};
use crate::window::Window;

mod cut;
mod generate;
mod onnx;
mod outline;
mod planned;
mod sample;
mod reporting;
mod set;
mod slices;
mod text;

pub use cut::{CutError, Sharding, cut};
pub use generate::{Ask, BODY, CUSTOM_ID, GenerateSettings, InvalidPrompt, Prompt};
pub use onnx::OnnxSettings;
pub use outline::{LONG_MEDIANS, Outline};
pub use planned::Planned;
pub use reporting::{Column, Lineage, LineageTarget, Reporting, SecretName, Webhook};
pub use sample::sample_shards;
pub use set::{ShardSet, Shards};
pub use slices::Slices;
pub use text::{Device, Dtype, Precision, TextSettings};

/// Most shards a run may have.
pub const SHARDS_MAX: u32 = 1_000_000;

/// `runs/<run>/plan.json`: everything a worker needs to know to score any shard of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Layout version of this document.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// When the plan was made.
    pub planned_at: Timestamp,
    /// Digest of inputs with versions, model and task settings; says whether a date is stale.
    pub fingerprint: Digest,
    /// The model, resolved once and frozen.
    pub model: ModelIdentity,
    /// Task, columns, output format: everything that changes the bytes of the output.
    pub task: TaskSettings,
    /// The input files, in the order in which rows are counted.
    pub inputs: Vec<InputFile>,
    /// Rows over all inputs.
    pub rows: u64,
    /// The shards, in row order; the position is the shard's index.
    #[serde(deserialize_with = "outline::bounded_shards")]
    pub shards: Vec<Shard>,
    /// Shards that a run of an earlier generation has committed already and this one takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherits: Option<Inheritance>,
    /// How many workers, and what their pods look like, where the spec says anything about it.
    /// Part of the plan so that a coordinator that takes the run over can start them; no part of
    /// the fingerprint, since it changes no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// In which hours shards may be begun. Part of the plan for the same reason, and no part of the
    /// fingerprint either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What the run must be like before readers see its output. No part of the fingerprint, since
    /// it changes no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GatePlan>,
    /// Who is told of the run, where the spec names anybody. Part of the plan so that whoever
    /// concludes the run can tell them; no part of the fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting: Option<Reporting>,
}

impl Plan {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;

    /// Number of shards.
    pub fn shard_count(&self) -> u32 {
        self.shards.len() as u32
    }

    /// The shard at `index`, if the plan has one.
    pub fn shard(&self, index: ShardIndex) -> Option<&Shard> {
        self.shards.get(index.as_usize())
    }

    /// Shard indexes, in order.
    pub fn indexes(&self) -> impl DoubleEndedIterator<Item = ShardIndex> + use<> {
        (0..self.shard_count()).map(ShardIndex)
    }

    /// The spec's name.
    pub fn name(&self) -> &SpecName {
        &self.run.name
    }

    /// The date, or `all`.
    pub fn partition(&self) -> Partition {
        self.run.partition
    }

    /// The generation.
    pub fn generation(&self) -> Generation {
        self.run.generation
    }
}

/// The committed shards of an earlier generation that need not run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inheritance {
    /// The run whose records are taken over.
    pub from: RunId,
    /// Which of its shards.
    pub shards: Vec<ShardIndex>,
}

/// A model as one run uses it: where it was found, and the digest of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// The reference as the spec has it, placeholders filled in.
    pub uri: String,
    /// The version that the spec gives it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the reference was resolved to, unless `uri` is the folder itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<PinnedModel>,
    /// SHA-256 of the lines that `sha256sum FILE…` prints for the model's files, sorted by name.
    pub digest: Digest,
    /// The files behind the digest, sorted by name.
    pub files: Vec<ModelFile>,
}

impl ModelIdentity {
    /// Bytes of all files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// What was found, for people: the pinned reference, or the folder.
    pub fn resolved(&self) -> String {
        self.pinned.as_ref().map_or_else(|| self.uri.clone(), ToString::to_string)
    }
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path within the model's folder, with `/` between its steps.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
}

/// What is done to each row and how the result is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// Where the task is `onnx`: which columns the graph reads and which outputs are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnx: Option<OnnxSettings>,
    /// The engine: `tabular`, `embed`, `classify`, `rerank`, `generate` or `onnx`.
    pub kind: String,
    /// Columns that identify a row; they come first in the output.
    pub id: Vec<String>,
    /// More columns to carry over.
    pub keep: Vec<String>,
    /// Format of the visible files.
    pub output_format: OutputFormat,
    /// Largest share of a shard's rows that may be rejected.
    pub rejects_max_ratio: f64,
    /// Rejects that a shard may always have, whatever the ratio says.
    pub rejects_min: u64,
    /// Attempts of one shard that may end in a crash before it is quarantined.
    pub crash_budget: u32,
    /// Where the task reads text: from which column, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSettings>,
    /// Where the task writes text: what is asked, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<GenerateSettings>,
}

impl TaskSettings {
    /// What is done to each row, as the spec said it.
    pub fn task(&self) -> Task {
        if let Some(onnx) = self.onnx.clone() {
            return Task::Onnx(onnx);
        }
        if let ("generate", Some(generate)) = (self.kind.as_str(), &self.generate) {
            return Task::Generate(generate.clone());
        }
        let Some(text) = self.text.clone() else { return Task::Tabular };
        match self.kind.as_str() {
            "classify" => Task::Classify(text),
            "rerank" => Task::Rerank(text),
            "embed" => Task::Embed(text),
            // Of a later build: the engine for tables refuses its model.
            _ => Task::Tabular,
        }
    }
}

/// Formats of visible output files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

impl OutputFormat {
    /// File name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// One input file, pinned to the version that was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Where it is: an absolute path on a volume.
    pub uri: String,
    /// Format of its content.
    pub format: InputFormat,
    /// Compression around the whole file (never for Parquet, which compresses inside).
    #[serde(default, skip_serializing_if = "Compression::is_none")]
    pub compression: Compression,
    /// The version that was planned.
    pub pin: Pin,
    /// Rows in the file.
    pub rows: u64,
    /// Values of `key=value` directories in the path, which become columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_columns: Vec<PartitionColumn>,
    /// Type of each column that the run needs, where the format has no schema of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<InferredColumn>,
}

/// Formats of input files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl From<OutputFormat> for InputFormat {
    /// What a file that was written is read as.
    fn from(written: OutputFormat) -> Self {
        match written {
            OutputFormat::Parquet => Self::Parquet,
            OutputFormat::Csv => Self::Csv,
            OutputFormat::Jsonl => Self::Jsonl,
        }
    }
}

/// Compression around a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Plain bytes.
    #[default]
    None,
    /// RFC 1952, possibly several members.
    Gzip,
    /// RFC 8878, possibly several frames.
    Zstd,
}

impl Compression {
    /// Whether the file is plain bytes.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What must be unchanged for a planned file to be the same file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Version: `mtime:<nanoseconds since the epoch>` on a volume, `etag:<value>` in a store.
    pub version: String,
}

/// One column that comes from the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionColumn {
    /// Left of the `=`.
    pub name: String,
    /// Right of the `=`, percent-decoded; always text.
    pub value: String,
}

/// The type that planning found for a column of a text format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferredColumn {
    /// Column name.
    pub name: String,
    /// Its type.
    pub kind: ColumnKind,
}

/// Types that text formats can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// 64-bit signed integer.
    Int,
    /// 64-bit float.
    Float,
    /// True or false.
    Bool,
    /// UTF-8 text.
    Text,
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The rows, as runs of consecutive rows of input files, in order.
    pub slices: Slices,
}

impl Shard {
    /// Rows in the shard; `u64::MAX` where a plan that nobody cut claims more.
    pub fn rows(&self) -> u64 {
        self.slices.iter().fold(0, |rows, slice| rows.saturating_add(slice.rows))
    }
}

/// Consecutive rows of one input file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Position in [`Plan::inputs`].
    pub input: u32,
    /// First row, from 0.
    pub start: u64,
    /// How many rows.
    pub rows: u64,
    /// Where to start reading, for text formats that are not compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seek: Option<Mark>,
}

/// A place in a text file where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The row that begins there, from 0.
    pub row: u64,
    /// Byte offset of its first byte.
    pub byte: u64,
}

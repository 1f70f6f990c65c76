//! The report of a run: what people, `_SUCCESS` and other programs are told.
//!
//! [`Report`] follows from plan and final alone. [`study`] adds what only the records tell, one
//! record at a time, and gives `report.json`; [`page`] is the same for people. [`webhook`] and
//! [`lineage`] are messages to others, and [`telling`] decides whether it is time to send one.

use serde::{Deserialize, Serialize};

use crate::conclusion::Final;
use crate::plan::{InputFile, ModelIdentity, OutputFormat, Planned};

pub mod study;
pub mod page;
pub mod webhook;
pub mod lineage;
pub mod telling;

/// Content of `_SUCCESS`, and what `nightshift report` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Layout version of this document.
    pub version: u32,
    /// What was read.
    pub input: InputSummary,
    /// What scored it.
    pub model: ModelIdentity,
    /// The engine.
    pub task: String,
    /// Format of the visible files.
    pub output_format: OutputFormat,
    /// Folder of the visible files, relative to the output root.
    pub output: String,
    /// The verdict with its totals.
    pub verdict: Final,
}

/// The inputs of a run, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSummary {
    /// Input files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// The first file, as an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

impl InputSummary {
    /// The summary of `inputs`, which have `rows` rows together.
    pub fn new(rows: u64, inputs: &[InputFile]) -> Self {
        let mut summary = Self { files: 0, bytes: 0, rows, first: None };
        inputs.iter().for_each(|file| summary.add(file));
        summary
    }

    /// Counts one more file; its rows are counted already.
    pub(crate) fn add(&mut self, file: &InputFile) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.pin.size_bytes);
        if self.first.is_none() {
            self.first = Some(file.uri.clone());
        }
    }
}

impl Report {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;

    /// The report of a concluded run whose visible files are in `output`.
    pub fn new(plan: &impl Planned, verdict: Final, output: String) -> Self {
        Self {
            version: Self::VERSION,
            input: plan.input(),
            model: plan.model().clone(),
            task: plan.task().kind.clone(),
            output_format: plan.task().output_format,
            output,
            verdict,
        }
    }

    /// Seconds from plan to the last decided shard.
    pub fn elapsed_s(&self) -> f64 {
        self.verdict.decided_at.duration_since(self.verdict.planned_at).as_secs_f64().max(0.0)
    }
}

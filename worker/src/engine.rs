//! What turns a batch of rows into scores.
//!
//! An [`Engine`] is synchronous and single-threaded per call: the worker gives each core a
//! batch, and all of them share one engine with one read-only copy of the weights. [`load`]
//! reads a model directory for the engine that the task asks for: [`tabular`], [`text`] or [`onnx`].
//!
//! Data never makes an engine fail: a row that cannot be scored is a
//! [`RowReject`], a batch with a wrong schema is an [`EngineError`].

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema};
pub use nightshift_core::spec::Task;

mod error;
mod files;
pub mod onnx;
pub mod tabular;
pub mod text;

pub use error::{EngineError, ErrorClass, LoadError};
pub use files::ReadFile;

use onnx::OnnxEngine;
use tabular::TabularEngine;
use text::{GenerateEngine, TextEngine};

use crate::reject::RowReject;

/// What a column must hold for an engine to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnRole {
    /// Integers, floats, decimals, booleans, or text that holds numbers.
    Number,
    /// Text, dictionary-encoded or not; integers and booleans are taken as their text.
    Text,
    /// Dates, timestamps, or ISO 8601 text.
    Moment,
    /// Text, read as it is written: in a text format `007` stays `007`.
    Prose,
    /// JSON as text; in a JSON file it may be there as it is.
    Json,
}

/// One column that an engine reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineColumn {
    /// Name of the column in the input.
    pub name: Arc<str>,
    /// What it must hold.
    pub accepts: ColumnRole,
}

/// The result of one batch.
#[derive(Debug, Clone)]
pub struct Scored {
    /// One array per field of [`Engine::output_fields`], one value per row of the batch. Rows
    /// in `rejects` hold a placeholder: 0 or empty text.
    pub columns: Vec<ArrayRef>,
    /// Rows without a score, sorted by row, at most one entry a row.
    pub rejects: Vec<RowReject>,
    /// What was read of texts; nothing where there are none.
    pub text: TextCounts,
}

/// What an engine read of the texts of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextCounts {
    /// Tokens that went through the model, with those that it adds.
    pub tokens: u64,
    /// Rows whose text was longer than the model takes, and was cut.
    pub cut_rows: u64,
}

impl std::ops::AddAssign for TextCounts {
    fn add_assign(&mut self, more: Self) {
        self.tokens += more.tokens;
        self.cut_rows += more.cut_rows;
    }
}

/// A loaded model.
///
/// The score of a row depends on that row and the model only: alone, in any batch, beside any
/// other rows and on every retry it has the same bits; on a GPU, the same but for the last ones.
pub trait Engine: Send + Sync {
    /// The model's files, with the SHA-256 of the bytes that this engine was made of.
    fn files(&self) -> &[ReadFile];

    /// The columns that [`run`](Self::run) reads, in the model's order.
    fn input_columns(&self) -> &[EngineColumn];

    /// Whether batches of `schema` can be scored.
    ///
    /// # Errors
    /// The first column that is missing or has a type that cannot be used.
    fn check_input(&self, schema: &Schema) -> Result<(), EngineError>;

    /// The columns that [`run`](Self::run) returns; none is nullable.
    fn output_fields(&self) -> &[FieldRef];

    /// Scores every row of `batch`, on the calling thread only.
    ///
    /// # Errors
    /// As [`check_input`](Self::check_input), and [`EngineError::OutOfMemory`] where there is no
    /// memory for so many rows; fewer may fit. Values never cause an error, only rejects.
    fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError>;

    /// As [`run`](Self::run), for engines whose batches may take longer than somebody waits who
    /// wants the process to end: they ask `goes_on` from step to step, and leave the batch where
    /// it says no.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`EngineError::LeftOff`].
    fn run_while(
        &self,
        batch: &RecordBatch,
        _goes_on: &dyn Fn() -> bool,
    ) -> Result<Scored, EngineError> {
        self.run(batch)
    }

    /// Bytes of weights held in memory, shared by all threads.
    fn weights_bytes(&self) -> u64;

    /// Most bytes beside the weights that were in memory while the model was loaded.
    fn loading_bytes(&self) -> u64 {
        // The file, and tensors that were made of it.
        2 * self.weights_bytes()
    }

    /// Bytes that a thread keeps while it computes, where they are many beside a batch.
    fn thread_bytes(&self) -> u64 {
        0
    }

    /// Rows that a batch should have at most: more of them would take so long that a worker that
    /// is told to go answers late.
    fn batch_rows(&self) -> usize;
}

/// Loads the model in directory `dir` for `task`.
///
/// # Errors
/// Anything that keeps the model from being used; see [`LoadError`]. The files may hold any
/// bytes: memory and time stay bounded by the limits in [`tabular`], [`text`] and
/// [`onnx`].
pub fn load(dir: &Path, task: &Task) -> Result<Box<dyn Engine>, LoadError> {
    Ok(match task {
        Task::Tabular => Box::new(TabularEngine::load(dir)?),
        Task::Onnx(settings) => Box::new(OnnxEngine::load(dir, settings)?),
        Task::Embed(wanted) | Task::Classify(wanted) | Task::Rerank(wanted) => {
            Box::new(TextEngine::load(dir, task, wanted)?)
        }
        Task::Generate(wanted) => Box::new(GenerateEngine::load(dir, wanted)?),
    })
}

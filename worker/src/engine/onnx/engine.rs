//! Scoring a batch: columns to values, values through the steps, results to columns.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use nightshift_core::model::ONNX_FILE;
use nightshift_core::plan::OnnxSettings;

use super::FILE_BYTES_MAX;
use super::compile::{Program, Read, compile};
use super::error::OnnxError;
use super::inputs::{Bound, Rejects, role};
use super::ops::Unknown;
use super::outputs::{Results, fields};
use super::proto::parse;
use super::value::Data;
use crate::engine::files::{ReadFile, check_directory, read_bounded, sha256};
use crate::engine::tabular::check_columns;
use crate::engine::{Engine, EngineColumn, EngineError, LoadError, Scored, TextCounts};
use crate::reject::RejectReason;

/// Most rows that go through the steps at a time.
const BLOCK_ROWS_MAX: usize = 512;
/// Elements of all values of a block, about: a few megabytes.
const BLOCK_ELEMENTS: usize = 1 << 19;
/// Operations of a batch: more of them would keep a worker for seconds that is told to go.
const BATCH_WORK: usize = 4_000_000_000;
/// Fewest rows of a batch.
const BATCH_ROWS_MIN: usize = 8;

/// A graph, ready to score.
pub struct OnnxEngine {
    program: Program,
    columns: Vec<EngineColumn>,
    fields: Vec<FieldRef>,
    files: Vec<ReadFile>,
    block_rows: usize,
}

impl OnnxEngine {
    /// Loads the graph in directory `dir`.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path, settings: &OnnxSettings) -> Result<Self, LoadError> {
        check_directory(dir)?;
        let path = dir.join(ONNX_FILE);
        let refused =
            |source: OnnxError| LoadError::Onnx { path: path.clone(), source: Box::new(source) };
        let bytes = read_bounded(&path, FILE_BYTES_MAX).map_err(|error| match error {
            LoadError::MissingFile { .. } => refused(OnnxError::NoFile),
            error => error,
        })?;
        let mut engine = Self::of_bytes(&bytes, settings).map_err(refused)?;
        engine.files.push((ONNX_FILE.into(), sha256(&bytes)));
        Ok(engine)
    }

    /// The engine of the graph that `bytes` hold.
    ///
    /// # Errors
    /// Whatever keeps it from being used.
    pub fn of_bytes(bytes: &[u8], settings: &OnnxSettings) -> Result<Self, OnnxError> {
        let program = compile(&parse(bytes)?, settings)?;
        let fields = fields(&program.outputs)?;
        let column = |name: &String, accepts| EngineColumn { name: name.as_str().into(), accepts };
        let columns = program
            .inputs
            .iter()
            .flat_map(|input| input.columns.iter().map(|name| column(name, role(input.element))));
        let block_rows = (BLOCK_ELEMENTS / program.width.max(1)).clamp(1, BLOCK_ROWS_MAX);
        Ok(Self { columns: columns.collect(), fields, files: Vec::new(), block_rows, program })
    }

    /// Computes the outputs of a block of `rows` rows.
    fn compute(&self, rows: usize, inputs: Vec<Data>, unknown: &mut Unknown) -> Vec<Option<Data>> {
        let nothing = Data::Int(Vec::new());
        let mut slots: Vec<Option<Data>> = inputs.into_iter().map(Some).collect();
        slots.resize_with(self.program.slots, || None);
        for placed in &self.program.steps {
            let read = |read: &'_ Read| match read {
                Read::Nothing => None,
                Read::Slot(slot) => Some(slots.get(*slot).and_then(Option::as_ref)).flatten(),
                Read::Constant(_) => None,
            };
            let data: Vec<&Data> = placed
                .reads
                .iter()
                .map(|it| match it {
                    Read::Constant(data) => &**data,
                    it => read(it).unwrap_or(&nothing),
                })
                .collect();
            let made = (placed.step)(rows, &data, unknown);
            for (slot, data) in placed.writes.iter().zip(made) {
                if let Some(to) = slots.get_mut(*slot) {
                    *to = Some(data);
                }
            }
            for slot in &placed.frees {
                slots.iter_mut().skip(*slot).take(1).for_each(|it| *it = None);
            }
        }
        slots
    }
}

impl Engine for OnnxEngine {
    fn files(&self) -> &[ReadFile] {
        &self.files
    }

    fn input_columns(&self) -> &[EngineColumn] {
        &self.columns
    }

    fn check_input(&self, schema: &Schema) -> Result<(), EngineError> {
        check_columns(&self.columns, schema)
    }

    fn output_fields(&self) -> &[FieldRef] {
        &self.fields
    }

    fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError> {
        let (rows, Program { inputs, outputs, .. }) = (batch.num_rows(), &self.program);
        let bound = Bound::of(batch, inputs, &self.columns)?;
        let mut results =
            Results::with_room(outputs, rows).map_err(|_| EngineError::OutOfMemory { rows })?;
        let mut rejects = Rejects::default();
        for first in (0..rows).step_by(self.block_rows) {
            let len = self.block_rows.min(rows - first);
            let values = bound.block(inputs, first, len, &mut rejects);
            let mut unknown = Unknown::default();
            let slots = self.compute(len, values, &mut unknown);
            for (row, category) in unknown.0 {
                let reason = RejectReason::UnknownCategory;
                rejects.reject(first + row, reason, None, || category);
            }
            for (at, output) in outputs.iter().enumerate() {
                if let Some(Some(data)) = slots.get(output.slot) {
                    results.append(at, output, data, first, &mut rejects);
                }
            }
        }
        let kernel = |source| {
            let column = self.fields.first().map_or_else(String::new, |field| field.name().clone());
            EngineError::Kernel { column, source }
        };
        let columns = results.into_columns(outputs, &rejects).map_err(kernel)?;
        let rejects = rejects.0.into_values().collect();
        Ok(Scored { columns, rejects, text: TextCounts::default() })
    }

    fn weights_bytes(&self) -> u64 {
        self.program.bytes as u64
    }

    fn batch_rows(&self) -> usize {
        (BATCH_WORK / self.program.work.max(1)).max(BATCH_ROWS_MIN)
    }
}

impl std::fmt::Debug for OnnxEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxEngine")
            .field("steps", &self.program.steps.len())
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

//! Scoring a batch: columns to blocks, blocks through the layers, results to columns.

use std::collections::TryReserveError;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use nightshift_kernels::Isa;

use super::block::{BLOCK_ROWS, Lanes, set_bits};
use super::config::{Config, Feature, Output};
use super::featurize::{BlockRejects, Featurizer};
use super::fused::Fused;
use super::model::{Model, WEIGHTS_FILE};
use super::weights::{WeightsError, values};
use crate::engine::{Engine, EngineColumn, EngineError, LoadError, ReadFile, Scored, TextCounts};
use crate::reject::{RejectReason, RowReject};

/// A tabular model, ready to score.
#[derive(Debug)]
pub struct TabularEngine {
    featurizer: Featurizer,
    tables: Vec<Table>,
    fused: Fused,
    columns: Vec<Column>,
    fields: Vec<FieldRef>,
    logits: usize,
    files: Vec<ReadFile>,
}

/// An embedding table.
#[derive(Debug)]
struct Table {
    /// First of the inputs that it makes.
    offset: usize,
    dim: usize,
    /// Row-major `[rows, dim]`.
    weights: Vec<f32>,
}

/// Where an output column comes from.
#[derive(Debug)]
enum Column {
    /// The values at this position of the logits; the name is for rejects.
    Value { logit: usize, output: Arc<str> },
    /// The labels of this position, and their texts.
    Label { label: usize, texts: Vec<String> },
}

impl TabularEngine {
    /// Loads the model in directory `dir`.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let model = Model::load(dir)?;
        Self::new(&model)
            .map_err(|source| LoadError::Weights { path: dir.join(WEIGHTS_FILE), source })
    }

    /// The engine of `model`, which is not needed any more afterwards.
    ///
    /// # Errors
    /// None for a model that was loaded.
    pub fn new(model: &Model) -> Result<Self, WeightsError> {
        Self::with_isa(model, Isa::detect())
    }

    /// The engine of `model` on every instruction set of this processor, fastest first: for
    /// tests and benchmarks that compare them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_each_instruction_set(model: &Model) -> Result<Vec<Self>, WeightsError> {
        Isa::available().map(|isa| Self::with_isa(model, isa)).collect()
    }

    /// The engine of `model` on instruction set `isa`.
    fn with_isa(model: &Model, isa: Isa) -> Result<Self, WeightsError> {
        let config = model.config();
        let fused = Fused::new(config, model.tensors(), isa)?;
        let (columns, fields) = output_columns(config);
        Ok(Self {
            featurizer: Featurizer::of_checked(config),
            tables: tables(model)?,
            fused,
            columns,
            fields,
            logits: config.logits_width(),
            files: model.files().to_vec(),
        })
    }

    /// The instruction set that scoring uses: `avx512`, `avx2` or `portable`.
    pub fn instruction_set(&self) -> &'static str {
        self.fused.isa().name()
    }

    /// Writes the inputs that categories make.
    fn embed(&self, codes: &[[u32; BLOCK_ROWS]], inputs: &mut [Lanes]) {
        for (table, codes) in self.tables.iter().zip(codes) {
            let Some(inputs) = inputs.get_mut(table.offset..table.offset + table.dim) else {
                continue;
            };
            for (lane, &code) in codes.iter().enumerate() {
                let start = code as usize * table.dim;
                let row = table.weights.get(start..start + table.dim).unwrap_or_default();
                for (input, &weight) in inputs.iter_mut().zip(row) {
                    if let Some(to) = input.0.get_mut(lane) {
                        *to = weight;
                    }
                }
            }
        }
    }

    /// Rejects the rows of a block of `len` rows whose values are not all finite.
    fn check_results(&self, len: usize, values: &[Lanes], rejects: &mut BlockRejects) {
        for column in &self.columns {
            let Column::Value { logit, output } = column else { continue };
            let Some(lanes) = values.get(*logit).filter(|lanes| !lanes.all_finite()) else {
                continue;
            };
            for (lane, value) in lanes.0.iter().take(len).enumerate() {
                if !value.is_finite() {
                    let detail = || format!("{output} is {value}");
                    rejects.reject(lane, RejectReason::ResultNotFinite, None, detail);
                }
            }
        }
    }
}

/// The embedding tables of `model`, in the order of its categorical features.
fn tables(model: &Model) -> Result<Vec<Table>, WeightsError> {
    let mut tables = Vec::new();
    let mut offset = 0;
    for feature in &model.config().features {
        if let Feature::Categorical(categorical) = feature {
            let name = feature.table_name();
            let tensor = model.tensors().get(&name).ok_or_else(|| WeightsError::Missing {
                tensor: name,
                expected: vec![feature.table_rows().unwrap_or(0), feature.width()],
            })?;
            let weights = values(tensor)?;
            tables.push(Table { offset, dim: categorical.embedding, weights });
        }
        offset += feature.width();
    }
    Ok(tables)
}

/// The output columns of `config` and their fields.
fn output_columns(config: &Config) -> (Vec<Column>, Vec<FieldRef>) {
    let (mut columns, mut fields) = (Vec::new(), Vec::new());
    let (mut logit, mut label) = (0, 0);
    for output in &config.outputs {
        let mut names = output.columns().into_iter();
        if let Output::Class(class) = output
            && class.labels.len() > 1
        {
            columns.push(Column::Label { label, texts: class.labels.clone() });
            fields.extend(names.next().map(|name| Field::new(name, DataType::Utf8, false)));
            label += 1;
        }
        for name in names {
            columns.push(Column::Value { logit, output: name.as_str().into() });
            fields.push(Field::new(name, DataType::Float32, false));
            logit += 1;
        }
    }
    (columns, fields.into_iter().map(Arc::new).collect())
}

/// The results of a batch, in the order of the rows.
struct Results {
    values: Vec<Vec<f32>>,
    labels: Vec<Vec<u32>>,
}

impl Results {
    /// Room for `rows` rows; an error, and not the end of the process, where there is none.
    fn with_room(values: usize, labels: usize, rows: usize) -> Result<Self, TryReserveError> {
        Ok(Self { values: rooms(values, rows)?, labels: rooms(labels, rows)? })
    }

    /// Appends a block of `len` rows; the rows of `rejected` get 0.
    fn append(
        &mut self,
        len: usize,
        values: &[Lanes],
        labels: &[[u32; BLOCK_ROWS]],
        rejected: u64,
    ) {
        for (all, lanes) in self.values.iter_mut().zip(values) {
            all.extend(lanes.0.iter().take(len));
            clear(all, len, rejected);
        }
        for (all, labels) in self.labels.iter_mut().zip(labels) {
            all.extend(labels.iter().take(len));
        }
    }
}

impl Results {
    /// The output columns.
    fn into_columns(mut self, columns: &[Column], rejects: &[RowReject]) -> Vec<ArrayRef> {
        let column = |column: &Column| -> ArrayRef {
            match column {
                Column::Value { logit, .. } => {
                    let values = self.values.get_mut(*logit).map(std::mem::take);
                    Arc::new(Float32Array::from(values.unwrap_or_default()))
                }
                Column::Label { label, texts } => {
                    let labels = self.labels.get(*label).map(Vec::as_slice);
                    Arc::new(label_column(labels.unwrap_or_default(), texts, rejects))
                }
            }
        };
        columns.iter().map(column).collect()
    }
}

/// `count` empty vectors with room for `rows` elements each.
fn rooms<T>(count: usize, rows: usize) -> Result<Vec<Vec<T>>, TryReserveError> {
    let room = |_| {
        let mut vector = Vec::new();
        vector.try_reserve_exact(rows)?;
        Ok(vector)
    };
    (0..count).map(room).collect()
}

/// The text of each of `labels`; empty for rejected rows.
fn label_column(labels: &[u32], texts: &[String], rejects: &[RowReject]) -> StringArray {
    let mut rejected = rejects.iter().map(|reject| reject.row).peekable();
    labels
        .iter()
        .enumerate()
        .map(|(row, &label)| match rejected.next_if_eq(&row) {
            Some(_) => "",
            None => texts.get(label as usize).map_or("", String::as_str),
        })
        .map(Some)
        .collect()
}

/// Sets those of the last `len` values to 0 that have their bit set.
fn clear(all: &mut [f32], len: usize, bits: u64) {
    let first = all.len().saturating_sub(len);
    for lane in set_bits(bits) {
        if let Some(value) = all.get_mut(first + lane) {
            *value = 0.0;
        }
    }
}

impl Engine for TabularEngine {
    fn files(&self) -> &[ReadFile] {
        &self.files
    }

    fn input_columns(&self) -> &[EngineColumn] {
        self.featurizer.input_columns()
    }

    fn check_input(&self, schema: &Schema) -> Result<(), EngineError> {
        self.featurizer.check_input(schema)
    }

    fn output_fields(&self) -> &[FieldRef] {
        &self.fields
    }

    fn run(&self, batch: &RecordBatch) -> Result<Scored, EngineError> {
        let rows = batch.num_rows();
        let mut bound = self.featurizer.bind(batch)?;
        let offsets = self.featurizer.input_offsets();
        let mut scratch = self.fused.scratch();
        let mut codes = vec![[0; BLOCK_ROWS]; self.tables.len()];
        let mut results = Results::with_room(self.logits, self.fused.labels(), rows)
            .map_err(|_| EngineError::OutOfMemory { rows })?;
        let mut rejects = BlockRejects::default();
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let len = BLOCK_ROWS.min(rows - first);
            rejects.start(first);
            bound.block(first, len, offsets, &mut scratch.inputs, &mut codes, &mut rejects);
            self.embed(&codes, &mut scratch.inputs);
            let (values, labels) = self.fused.forward(&mut scratch);
            self.check_results(len, values, &mut rejects);
            results.append(len, values, labels, rejects.mask());
            rejects.finish();
        }
        let rejects = rejects.into_rows();
        let columns = results.into_columns(&self.columns, &rejects);
        Ok(Scored { columns, rejects, text: TextCounts::default() })
    }

    fn weights_bytes(&self) -> u64 {
        let tables: usize = self.tables.iter().map(|table| size_of_val(&*table.weights)).sum();
        (tables + self.fused.bytes()) as u64
    }

    /// A batch takes milliseconds, however many rows are read at a time.
    fn batch_rows(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests;

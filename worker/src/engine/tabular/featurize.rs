//! From columns to the numbers that a model computes with; one code for training and serving.
//!
//! A [`Featurizer`] is made once from a [`Config`]. For each batch its columns are *bound*:
//! found by name, their types resolved, categories looked up (once per dictionary entry where
//! the column is dictionary-encoded). Then the rows are taken in blocks of 64. Serving
//! writes each block where the first layer reads it; [`Featurizer::featurize`] gathers all rows
//! for training.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};

use super::block::{BLOCK_ROWS, Lanes};
use super::config::{Config, ConfigError, Feature, clip};
use crate::engine::{ColumnRole, EngineColumn, EngineError};
use crate::reject::RowReject;

mod categorical;
mod datetime;
mod numeric;
mod rejects;
pub(in crate::engine) mod source;

use categorical::{BoundCategorical, Categorical};
use datetime::{BoundDatetime, Datetime};
pub(in crate::engine) use numeric::converted;
use numeric::{BoundNumeric, Numeric};
pub(super) use rejects::BlockRejects;

/// Makes the inputs of a model from batches.
#[derive(Debug)]
pub struct Featurizer {
    features: Vec<Prepared>,
    columns: Vec<EngineColumn>,
    input_offsets: Vec<usize>,
    dense_offsets: Vec<usize>,
    dense_width: usize,
}

#[derive(Debug)]
enum Prepared {
    Numeric(Numeric),
    Categorical(Categorical),
    Datetime(Datetime),
}

/// The rows of a batch as numbers, before any weight is applied.
#[derive(Debug, Clone, Default)]
pub struct Features {
    /// Rows of the batch, rejected ones included.
    pub rows: usize,
    /// Inputs that need no embedding: those of numeric and datetime features, in order.
    pub dense_width: usize,
    /// Row-major [rows, dense_width]; 0 in rejected rows.
    pub dense: Vec<f32>,
    /// For each categorical feature, in order, the table row of each row; 0 in rejected rows.
    pub categories: Vec<Vec<u32>>,
    /// Rows that cannot be used, sorted by row.
    pub rejects: Vec<RowReject>,
}

impl Features {
    /// Positions of the rows that can be used.
    pub fn accepted(&self) -> Vec<u32> {
        let mut rejects = self.rejects.iter().map(|reject| reject.row).peekable();
        (0..self.rows)
            .filter(|row| rejects.next_if_eq(row).is_none())
            .map(|row| row as u32)
            .collect()
    }
}

impl Featurizer {
    /// The featuriser of `config`.
    ///
    /// # Errors
    /// As [`Config::check`].
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self::of_checked(config))
    }

    /// The featuriser of a configuration that was checked.
    pub(super) fn of_checked(config: &Config) -> Self {
        let mut made = Self {
            features: Vec::with_capacity(config.features.len()),
            columns: Vec::with_capacity(config.features.len()),
            input_offsets: Vec::with_capacity(config.features.len()),
            dense_offsets: Vec::with_capacity(config.features.len()),
            dense_width: 0,
        };
        let mut inputs = 0;
        for feature in &config.features {
            let name: Arc<str> = feature.name().into();
            made.input_offsets.push(inputs);
            made.dense_offsets.push(made.dense_width);
            inputs += feature.width();
            let (prepared, accepts) = match feature {
                Feature::Numeric(feature) => {
                    (Prepared::Numeric(Numeric::new(name.clone(), feature)), ColumnRole::Number)
                }
                Feature::Categorical(feature) => {
                    let prepared = Categorical::new(name.clone(), feature);
                    (Prepared::Categorical(prepared), ColumnRole::Text)
                }
                Feature::Datetime(feature) => {
                    (Prepared::Datetime(Datetime::new(name.clone(), feature)), ColumnRole::Moment)
                }
            };
            if accepts != ColumnRole::Text {
                made.dense_width += feature.width();
            }
            made.features.push(prepared);
            made.columns.push(EngineColumn { name, accepts });
        }
        made
    }

    /// The columns that are read, in the order of the features.
    pub fn input_columns(&self) -> &[EngineColumn] {
        &self.columns
    }

    /// Inputs that need no embedding; see [`Features::dense_width`].
    pub fn dense_width(&self) -> usize {
        self.dense_width
    }

    /// Whether batches of `schema` can be featurised.
    ///
    /// # Errors
    /// The first column that is missing or of a type that cannot be used.
    pub fn check_input(&self, schema: &Schema) -> Result<(), EngineError> {
        check_columns(&self.columns, schema)
    }

    /// All rows of `batch`, for training and for the reference computation.
    ///
    /// # Errors
    /// As [`check_input`](Self::check_input).
    pub fn featurize(&self, batch: &RecordBatch) -> Result<Features, EngineError> {
        let rows = batch.num_rows();
        let mut bound = self.bind(batch)?;
        let mut block = vec![Lanes::ZERO; self.dense_width];
        let mut codes = vec![[0; BLOCK_ROWS]; self.table_count()];
        let mut dense = vec![0.0; rows * self.dense_width];
        let mut categories = vec![Vec::with_capacity(rows); codes.len()];
        let mut rejects = BlockRejects::default();
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let len = BLOCK_ROWS.min(rows - first);
            rejects.start(first);
            bound.block(first, len, &self.dense_offsets, &mut block, &mut codes, &mut rejects);
            let rejected = rejects.mask();
            if self.dense_width > 0 {
                let taken = dense.chunks_exact_mut(self.dense_width).skip(first).take(len);
                for (lane, row) in taken.enumerate().filter(|(lane, _)| rejected >> lane & 1 == 0) {
                    for (to, from) in row.iter_mut().zip(&block) {
                        *to = from.0.get(lane).copied().unwrap_or_default();
                    }
                }
            }
            for (all, codes) in categories.iter_mut().zip(&codes) {
                all.extend(
                    codes
                        .iter()
                        .take(len)
                        .enumerate()
                        .map(|(lane, &code)| if rejected >> lane & 1 == 0 { code } else { 0 }),
                );
            }
            rejects.finish();
        }
        let rejects = rejects.into_rows();
        Ok(Features { rows, dense_width: self.dense_width, dense, categories, rejects })
    }

    /// Number of categorical features.
    pub(super) fn table_count(&self) -> usize {
        self.columns.iter().filter(|column| column.accepts == ColumnRole::Text).count()
    }

    /// Where each feature begins among the inputs of the first layer.
    pub(super) fn input_offsets(&self) -> &[usize] {
        &self.input_offsets
    }

    /// Resolves the columns of `batch`.
    pub(super) fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<Bound<'a>, EngineError> {
        let mut features = Vec::with_capacity(self.features.len());
        for (prepared, column) in self.features.iter().zip(&self.columns) {
            let array = batch
                .column_by_name(&column.name)
                .ok_or_else(|| missing(column, batch.schema_ref()))?;
            if !source::accepts(column.accepts, array.data_type()) {
                return Err(wrong_type(column, array.data_type()));
            }
            let kernel = |source| EngineError::Kernel { column: column.name.to_string(), source };
            features.push(match prepared {
                Prepared::Numeric(feature) => {
                    BoundFeature::Numeric(feature.bind(array).map_err(kernel)?)
                }
                Prepared::Categorical(feature) => BoundFeature::Categorical(feature.bind(array)),
                Prepared::Datetime(feature) => {
                    BoundFeature::Datetime(feature.bind(array).map_err(kernel)?)
                }
            });
        }
        Ok(Bound { features })
    }
}

enum BoundFeature<'a> {
    Numeric(BoundNumeric<'a>),
    Categorical(BoundCategorical<'a>),
    Datetime(BoundDatetime<'a>),
}

/// A featuriser together with the columns of one batch.
pub(super) struct Bound<'a> {
    features: Vec<BoundFeature<'a>>,
}

impl Bound<'_> {
    /// Makes the block of `len` rows that begins at row `first`.
    ///
    /// The inputs of feature i that need no embedding go to `dense[offsets[i]..]`, the table rows
    /// of the j-th categorical feature to `codes[j]`. Lanes from `len` on and those of rejected
    /// rows get finite numbers and valid table rows of no meaning.
    pub(super) fn block(
        &mut self,
        first: usize,
        len: usize,
        offsets: &[usize],
        dense: &mut [Lanes],
        codes: &mut [[u32; BLOCK_ROWS]],
        rejects: &mut BlockRejects,
    ) {
        let mut codes = codes.iter_mut();
        for (feature, &offset) in self.features.iter_mut().zip(offsets) {
            let out = dense.get_mut(offset..).unwrap_or_default();
            match feature {
                BoundFeature::Numeric(feature) => feature.block(first, len, out, rejects),
                BoundFeature::Datetime(feature) => feature.block(first, len, out, rejects),
                BoundFeature::Categorical(feature) => {
                    if let Some(codes) = codes.next() {
                        feature.block(first, len, codes, rejects);
                    }
                }
            }
        }
    }
}

/// Whether a table of `schema` has `columns`, of types that can be used.
///
/// # Errors
/// The first column that is missing or of a type that cannot be used.
pub(in crate::engine) fn check_columns(
    columns: &[EngineColumn],
    schema: &Schema,
) -> Result<(), EngineError> {
    for column in columns {
        let found = schema
            .column_with_name(&column.name)
            .ok_or_else(|| missing(column, schema))?
            .1
            .data_type();
        if !source::accepts(column.accepts, found) {
            return Err(wrong_type(column, found));
        }
    }
    Ok(())
}

pub(in crate::engine) fn missing(column: &EngineColumn, schema: &Schema) -> EngineError {
    /// Columns named in the message; enough to see a wrong spelling.
    const SHOWN: usize = 20;
    let mut available: Vec<String> =
        schema.fields().iter().take(SHOWN).map(|field| clip(field.name())).collect();
    if schema.fields().len() > SHOWN {
        available.push(format!("and {} more", schema.fields().len() - SHOWN));
    }
    EngineError::MissingColumn { column: clip(&column.name), available: available.join(", ") }
}

pub(in crate::engine) fn wrong_type(column: &EngineColumn, found: &DataType) -> EngineError {
    let wanted = match column.accepts {
        ColumnRole::Number => "a number (integer, float, decimal, boolean, or text that holds one)",
        ColumnRole::Text | ColumnRole::Prose | ColumnRole::Json => {
            "a category (text, dictionary, integer or boolean)"
        }
        ColumnRole::Moment => "a moment (date, timestamp or ISO 8601 text)",
    };
    EngineError::WrongType { column: clip(&column.name), found: clip(&found.to_string()), wanted }
}

#[cfg(test)]
mod tests;

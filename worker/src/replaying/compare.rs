//! Two outputs of one shard, row by row: numbers within a tolerance, everything else exactly.

use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, kernels::cmp::not_distinct};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use nightshift_core::plan::{Compression, InputFile, OutputFormat, Slice};
use nightshift_storage::input::{Found, InputError, inspect};
use serde::Serialize;
use thiserror::Error;

use super::Outcome;
use crate::read::{ColumnRequest, ReadError, Reader, SliceReader};

/// Rows that are compared at a time.
const BATCH_ROWS: usize = 8_192;

/// Two files of one shard.
#[derive(Debug)]
pub struct Files {
    /// What was committed.
    pub before: PathBuf,
    /// What has come out now.
    pub now: PathBuf,
    /// The format of both.
    pub format: OutputFormat,
}

/// How far two outputs are apart that agree within the tolerance.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Difference {
    /// Rows of which a number differs at all.
    pub rows_differing: u64,
    /// The largest difference, relative to the committed number, and absolute below 1.
    pub worst: f64,
    /// The column in which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_column: Option<String>,
}

/// Why two outputs cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A file cannot be opened as what it should be.
    #[error(transparent)]
    Open(#[from] InputError),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Arrow refused to compare.
    #[error("the columns cannot be compared")]
    Arrow(#[from] ArrowError),
}

/// Compares the rows of both files, with bounded memory.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(files: &Files, tolerance: f64) -> Result<Outcome, CompareError> {
    let open = |path: &PathBuf| {
        let file = Found {
            uri: path.display().to_string(),
            format: files.format.into(),
            compression: Compression::None,
            // The `gen=1` in the path of a visible file is no column of its rows.
            partition_columns: Vec::new(),
        };
        let found = inspect(&file, &[])?;
        Ok::<_, CompareError>((found.file, found.schema))
    };
    let ((before, schema), (now, again)) = (open(&files.before)?, open(&files.now)?);
    let names = |schema: &arrow::datatypes::Schema| -> Vec<String> {
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    if names(&schema) != names(&again) {
        return Ok(different("the columns differ"));
    }
    // Both with the types of the first: a text format tells types by its values.
    let columns = schema.fields().iter();
    let columns = columns
        .map(|field| match files.format {
            OutputFormat::Parquet => ColumnRequest::plain(field.name()),
            _ => ColumnRequest::typed(field.name(), field.data_type().clone()),
        })
        .collect();
    let reader = Reader::new(columns, BATCH_ROWS);
    let mut rows = Rows::open(&reader, before, now)?;
    let mut seen = Difference::default();
    while let Some((before, now)) = rows.next()? {
        if let Some(what) = compare_batch(&before, &now, tolerance, &mut seen)? {
            return Ok(different(&what));
        }
    }
    match rows.uneven {
        false => Ok(Outcome::Close(seen)),
        true => Ok(different("there are more or fewer rows")),
    }
}

fn different(what: &str) -> Outcome {
    Outcome::Different { what: what.to_owned() }
}

/// Adds what differs to `seen`; says what differs that may not.
fn compare_batch(
    before: &RecordBatch,
    now: &RecordBatch,
    tolerance: f64,
    seen: &mut Difference,
) -> Result<Option<String>, CompareError> {
    let mut differs = vec![false; before.num_rows()];
    for (at, field) in before.schema_ref().fields().iter().enumerate() {
        let (before, now) = (before.column(at), now.column(at));
        if !field.data_type().is_floating() {
            if !equal(before, now)? {
                return Ok(Some(format!("values of `{}` differ", field.name())));
            }
            continue;
        }
        let worst = compare_numbers(before, now, &mut differs)?;
        if worst > tolerance {
            let (name, tolerance) = (field.name(), tolerance);
            return Ok(Some(format!("`{name}` differs by {worst:.2e}, more than {tolerance:.2e}")));
        }
        if worst > seen.worst {
            (seen.worst, seen.worst_column) = (worst, Some(field.name().clone()));
        }
    }
    seen.rows_differing += differs.iter().filter(|row| **row).count() as u64;
    Ok(None)
}

fn equal(before: &ArrayRef, now: &ArrayRef) -> Result<bool, CompareError> {
    if before.data_type() != now.data_type() {
        return Ok(false);
    }
    // Lists and structs have no kernel of their own; their data says the same.
    match before.data_type().is_nested() {
        true => Ok(before.to_data() == now.to_data()),
        false => Ok(not_distinct(before, now)?.false_count() == 0),
    }
}

/// The largest distance in one column; marks the rows that differ. A number on one side alone is
/// infinitely far.
fn compare_numbers(
    before: &ArrayRef,
    now: &ArrayRef,
    differs: &mut [bool],
) -> Result<f64, CompareError> {
    let (before, now) = (cast(before, &DataType::Float64)?, cast(now, &DataType::Float64)?);
    let pairs = before.as_primitive::<Float64Type>().iter().zip(now.as_primitive::<Float64Type>());
    let mut worst = 0_f64;
    for ((before, now), differs) in pairs.zip(differs) {
        let distance = match (before, now) {
            (None, None) => 0.0,
            (Some(before), Some(now)) if before.to_bits() == now.to_bits() => 0.0,
            (Some(before), Some(now)) => {
                let distance = (now - before).abs() / before.abs().max(1.0);
                if distance.is_nan() { f64::INFINITY } else { distance }
            }
            _ => f64::INFINITY,
        };
        *differs |= distance > 0.0;
        worst = worst.max(distance);
    }
    Ok(worst)
}

/// The rows of two files side by side, in pieces of the same length.
struct Rows {
    before: Side,
    now: Side,
    /// One ended before the other.
    uneven: bool,
}

/// The rows of one file.
struct Side {
    batches: Option<SliceReader>,
    /// What was read and not yet compared.
    left: Option<RecordBatch>,
}

impl Rows {
    fn open(reader: &Reader, before: InputFile, now: InputFile) -> Result<Self, CompareError> {
        let (before, now) = (Side::open(reader, &before)?, Side::open(reader, &now)?);
        Ok(Self { before, now, uneven: false })
    }

    fn next(&mut self) -> Result<Option<(RecordBatch, RecordBatch)>, CompareError> {
        let (before, now) = match (self.before.fill()?, self.now.fill()?) {
            (Some(before), Some(now)) => (before, now),
            (before, now) => {
                self.uneven = before.is_some() || now.is_some();
                return Ok(None);
            }
        };
        let rows = before.num_rows().min(now.num_rows());
        Ok(Some((self.before.keep_from(before, rows), self.now.keep_from(now, rows))))
    }
}

impl Side {
    fn open(reader: &Reader, file: &InputFile) -> Result<Self, CompareError> {
        if file.rows == 0 {
            return Ok(Self { batches: None, left: None });
        }
        let slice = Slice { input: 0, start: 0, rows: file.rows, seek: None };
        Ok(Self { batches: Some(reader.open(file, &slice)?), left: None })
    }

    /// Takes what is at hand, or the next batch.
    fn fill(&mut self) -> Result<Option<RecordBatch>, CompareError> {
        if let Some(left) = self.left.take() {
            return Ok(Some(left));
        }
        let next = self.batches.as_mut().and_then(Iterator::next).transpose()?;
        Ok(next.map(|read| read.batch))
    }

    /// The first `rows` rows; the rest stays at hand.
    fn keep_from(&mut self, batch: RecordBatch, rows: usize) -> RecordBatch {
        let rest = batch.num_rows() - rows;
        if rest > 0 {
            self.left = Some(batch.slice(rows, rest));
        }
        batch.slice(0, rows)
    }
}

#[cfg(test)]
mod tests;

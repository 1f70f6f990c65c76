//! Reads flights: one Parquet file for each date, as `make_data.py` leaves them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type};
use jiff::civil::Date;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Minutes after the scheduled time from which an arrival counts as late. This is the line that
/// the Bureau of Transportation Statistics draws.
pub const LATE_MINUTES: f64 = 15.0;

/// The flights of one date.
#[derive(Debug, Clone)]
pub struct Day {
    /// The date of the scheduled departure, in New York.
    pub date: Date,
    /// One row for each flight, with all columns of the file.
    pub flights: RecordBatch,
}

/// Reads every `date=YYYY-MM-DD/flights.parquet` under `root`, ordered by date.
///
/// # Errors
/// When `root` holds no such folder, or a file is not the Parquet that `make_data.py` writes.
pub fn read_days(root: &Path) -> Result<Vec<Day>> {
    let listing = fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))?;
    let mut days = Vec::new();
    for entry in listing {
        let folder = entry.with_context(|| format!("cannot list {}", root.display()))?.path();
        let Some(date) = date_of(&folder) else { continue };
        let flights = read_file(&folder.join("flights.parquet"))?;
        days.push(Day { date, flights });
    }
    ensure!(!days.is_empty(), "no date=YYYY-MM-DD under {}: run make_data.py", root.display());
    days.sort_by_key(|day| day.date);
    Ok(days)
}

fn date_of(folder: &Path) -> Option<Date> {
    folder.file_name()?.to_str()?.strip_prefix("date=")?.parse().ok()
}

fn read_file(path: &PathBuf) -> Result<RecordBatch> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .with_context(|| format!("cannot read {}", path.display()))?;
    let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
    let batches = reader.collect::<Result<Vec<_>, _>>();
    let batches = batches.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(concat_batches(&schema, &batches)?)
}

/// The flights of `days` in one batch, only those that landed where they were meant to: the others
/// have no arrival delay to learn from or to compare with.
///
/// # Errors
/// When there are no days, or their columns differ.
pub fn landed<'a>(days: impl IntoIterator<Item = &'a Day>) -> Result<RecordBatch> {
    let batches: Vec<&RecordBatch> = days.into_iter().map(|day| &day.flights).collect();
    let Some(first) = batches.first() else { bail!("no days to take flights from") };
    let all = concat_batches(&first.schema(), batches.iter().copied())?;
    let truth = column(&all, "arr_delay")?;
    let kept: BooleanArray = (0..truth.len()).map(|row| Some(truth.is_valid(row))).collect();
    Ok(filter_record_batch(&all, &kept)?)
}

/// One number for each row of a numeric column; `missing` stands for a null.
///
/// # Errors
/// When the column is missing or holds no numbers.
pub fn numbers(flights: &RecordBatch, name: &str, missing: f64) -> Result<Vec<f64>> {
    let wide = cast(column(flights, name)?, &DataType::Float64)
        .with_context(|| format!("column `{name}` holds no numbers"))?;
    Ok(wide.as_primitive::<Float64Type>().iter().map(|x| x.unwrap_or(missing)).collect())
}

/// A column by its name.
///
/// # Errors
/// When the batch has no such column.
pub fn column<'a>(flights: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    flights.column_by_name(name).with_context(|| format!("the flights have no column `{name}`"))
}

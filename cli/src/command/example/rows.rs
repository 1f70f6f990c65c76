//! The large table: the flights of the example over and over, each row with an id of its own.
//!
//! The benchmark's million rows are made the same way. Memory stays at one row group, whatever
//! the number of rows.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use bytes::Bytes;
use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::files::DAYS;

/// Rows in a file, and so the number of files.
const FILE_ROWS: u64 = 250_000;
/// Rows in a row group.
const GROUP_ROWS: usize = 50_000;
/// The column whose values are made anew.
const ID: &str = "flight_id";

/// A table of many rows.
#[derive(Debug)]
pub(super) struct Table {
    real: RecordBatch,
    id_column: usize,
    rows: u64,
}

/// One of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Which file, from 0.
    pub(super) index: u64,
    first_row: u64,
    rows: u64,
}

impl Table {
    pub(super) fn new(rows: u64) -> Result<Self, Failure> {
        let real = real().map_err(broken)?;
        let id_column = real.schema().index_of(ID).map_err(broken)?;
        Ok(Self { real, id_column, rows })
    }

    /// Its files, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let rows = self.rows;
        (0..rows.div_ceil(FILE_ROWS)).map(move |index| {
            let first_row = index * FILE_ROWS;
            Part { index, first_row, rows: FILE_ROWS.min(rows - first_row) }
        })
    }

    /// Writes one file.
    pub(super) fn write(&self, part: &Part, file: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by("nightshift example".to_owned())
            .build();
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let written = || {
            let schema = self.real.schema();
            let mut writer = ArrowWriter::try_new_with_options(file, schema, options)?;
            let end = part.first_row + part.rows;
            for from in (part.first_row..end).step_by(GROUP_ROWS) {
                writer.write(&self.group(from, end.min(from + GROUP_ROWS as u64))?)?;
            }
            writer.close().map(|_| ())
        };
        written().map_err(|error: ParquetError| {
            let text = format_args!("a file of the large table cannot be written: {error}");
            Failure::new(Exit::Io, text)
        })
    }

    /// Rows `from..to`; the id of row 0 is 1.
    fn group(&self, from: u64, to: u64) -> Result<RecordBatch, ArrowError> {
        let all = self.real.num_rows() as u64;
        let taken = UInt64Array::from_iter_values((from..to).map(|row| row % all));
        let taken = take_record_batch(&self.real, &taken)?;
        let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
        let ids = (from..to).map(|row| row.cast_signed() + 1);
        if let Some(column) = columns.get_mut(self.id_column) {
            *column = Arc::new(Int64Array::from_iter_values(ids));
        }
        RecordBatch::try_new(taken.schema(), columns)
    }
}

/// All flights of the example, in the order of their dates.
fn real() -> Result<RecordBatch, ParquetError> {
    let mut batches = Vec::new();
    for day in DAYS {
        let day = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(day))?.build()?;
        for batch in day {
            batches.push(batch?);
        }
    }
    let [first, ..] = &batches[..] else {
        return Err(ParquetError::General("the example has no rows".to_owned()));
    };
    Ok(concat_batches(&first.schema(), &batches)?)
}

/// The example is a part of this program, and read in its tests.
fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Software, format_args!("the example in this program is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_file_and_has_an_id_of_its_own() {
        let rows = 2 * FILE_ROWS + 17;
        let table = Table::new(rows).unwrap();
        let parts: Vec<Part> = table.parts().collect();
        assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), rows);
        let mut next = 1;
        for part in &parts {
            let mut bytes = Vec::new();
            table.write(part, &mut bytes).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                let ids = batch.column_by_name(ID).unwrap();
                for id in ids.as_any().downcast_ref::<Int64Array>().unwrap() {
                    assert_eq!(id, Some(next));
                    next += 1;
                }
            }
        }
        assert_eq!(next, rows.cast_signed() + 1);
    }
}

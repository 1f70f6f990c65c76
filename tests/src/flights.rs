//! Input for tests: the real flights of the example, repeated to any number of rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::{csv, json};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

/// Rows that are made and written at a time.
const PIECE_ROWS: u64 = 20_000;

/// All flights of the example's 14 dates, as its files have them.
pub fn real() -> RecordBatch {
    let mut batches = Vec::new();
    for day in 1..=14 {
        let file = format!("data/date=2013-01-{day:02}/flights.parquet");
        let file = File::open(crate::binaries::example().join(file)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        batches.extend(reader.map(Result::unwrap));
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// `rows` flights with the ids `first_id`, `first_id + 1`, …: the real ones over and over.
pub fn numbered(real: &RecordBatch, first_id: u64, rows: u64) -> RecordBatch {
    let all = real.num_rows() as u64;
    let from = UInt64Array::from_iter_values((0..rows).map(|row| (first_id + row) % all));
    let taken = take_record_batch(real, &from).unwrap();
    let ids = (0..rows).map(|row| (first_id + row).cast_signed());
    let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
    columns[real.schema().index_of("flight_id").unwrap()] =
        Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_new(taken.schema(), columns).unwrap()
}

/// Writes `rows` flights with ids from 1 to `path`, in the format and compression of its name.
pub fn write(path: &Path, rows: u64) {
    let real = real();
    let pieces = (0..rows).step_by(PIECE_ROWS as usize);
    write_batches(path, pieces.map(|done| numbered(&real, done + 1, PIECE_ROWS.min(rows - done))));
}

/// Writes `batches` to `path`, in the format and compression of its name.
pub fn write_batches(path: &Path, batches: impl IntoIterator<Item = RecordBatch>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = BufWriter::new(File::create(path).unwrap());
    let name = path.file_name().unwrap().to_str().unwrap();
    let (stem, compression) = match name.rsplit_once('.') {
        Some((stem, kind @ ("gz" | "zst"))) => (stem, kind),
        _ => (name, ""),
    };
    let batches = batches.into_iter();
    if stem.ends_with(".parquet") {
        return write_parquet(file, batches);
    }
    let mut sink: Box<dyn Write> = match compression {
        "gz" => Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast())),
        "zst" => Box::new(zstd::Encoder::new(file, 1).unwrap().auto_finish()),
        _ => Box::new(file),
    };
    if stem.ends_with(".csv") {
        let mut writer = csv::WriterBuilder::new().with_header(true).build(&mut sink);
        batches.for_each(|batch| writer.write(&batch).unwrap());
    } else {
        let mut writer = json::LineDelimitedWriter::new(&mut sink);
        batches.for_each(|batch| writer.write(&batch).unwrap());
        writer.finish().unwrap();
    }
    sink.flush().unwrap();
}

fn write_parquet(file: impl Write + Send, mut batches: impl Iterator<Item = RecordBatch>) {
    let first = batches.next().unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(PIECE_ROWS as usize)).build();
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).unwrap();
    writer.write(&first).unwrap();
    batches.for_each(|batch| writer.write(&batch).unwrap());
    writer.close().unwrap();
}

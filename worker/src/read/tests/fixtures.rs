//! Files made for one test, and plans over them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use nightshift_core::plan::{Compression, InputFile, Shard, Sharding, Slice, cut};
use nightshift_storage::input::{discover, inspect_all, place_marks};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use crate::read::{ColumnRequest, ReadBatch, ReadError, Reader};
use crate::reject::RowReject;

pub(super) type Row = (i64, Option<f64>, Option<String>, Option<bool>);

/// Rows with awkward text: quotes, commas, line breaks, spaces, any letters; never empty, since
/// CSV has no empty text.
pub(super) fn rows(max: usize) -> impl Strategy<Value = Vec<Row>> {
    let text = prop_oneof!["[a-c]{1,3}", "[ ,\"\n\ra-b]{1,12}", "\\PC{1,8}"];
    let number = prop_oneof![any::<i32>().prop_map(f64::from), -1e6..1e6];
    let row =
        (any::<i64>(), prop::option::of(number), prop::option::of(text), any::<Option<bool>>());
    prop::collection::vec(row, 1..max)
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, arrow::array::ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("x", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>())),
        ("s", Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>())),
        ("b", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .unwrap()
}

pub(super) fn requests() -> Vec<ColumnRequest> {
    let wanted = [
        ("id", DataType::Int64),
        ("x", DataType::Float64),
        ("s", DataType::Utf8),
        ("b", DataType::Boolean),
    ];
    wanted.map(|(name, wanted)| ColumnRequest::typed(name, wanted)).to_vec()
}

/// Columns with whatever type they have.
pub(super) fn plain_requests(names: &[&str]) -> Vec<ColumnRequest> {
    names.iter().copied().map(ColumnRequest::plain).collect()
}

pub(super) fn write_parquet(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

pub(super) fn csv_bytes(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    arrow::csv::Writer::new(&mut bytes).write(batch).unwrap();
    bytes
}

pub(super) fn jsonl_bytes(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner()
}

/// Compresses `bytes` in two members or frames.
pub(super) fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let mut out = Vec::new();
    for part in [first, second] {
        match compression {
            Compression::None => out.extend_from_slice(part),
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                out.extend(encoder.finish().unwrap());
            }
            Compression::Zstd => out.extend(zstd::encode_all(part, 1).unwrap()),
        }
    }
    out
}

pub(super) fn text_path(directory: &Path, extension: &str, compression: Compression) -> PathBuf {
    directory.join(match compression {
        Compression::None => format!("rows.{extension}"),
        Compression::Gzip => format!("rows.{extension}.gz"),
        Compression::Zstd => format!("rows.{extension}.zst"),
    })
}

/// Plans all files below `directory`.
pub(super) fn plan(directory: &Path, sharding: Sharding) -> (Vec<InputFile>, Vec<Shard>) {
    let found = discover(directory.to_str().unwrap(), None).unwrap();
    let inspected = inspect_all(&found, &[]).unwrap();
    let rows: Vec<u64> = inspected.iter().map(|file| file.file.rows).collect();
    let mut shards = cut(&rows, sharding).unwrap();
    let marks: Vec<_> = inspected.iter().map(|file| file.marks.clone()).collect();
    place_marks(&mut shards, &marks);
    (inspected.into_iter().map(|file| file.file).collect(), shards)
}

pub(super) fn plan_file(path: &Path) -> InputFile {
    let found = discover(path.to_str().unwrap(), None).unwrap();
    inspect_all(&found, &[]).unwrap().remove(0).file
}

pub(super) fn whole(file: &InputFile) -> Slice {
    Slice { input: 0, start: 0, rows: file.rows, seek: None }
}

pub(super) fn read(
    reader: &Reader,
    file: &InputFile,
    slice: &Slice,
) -> Result<Vec<ReadBatch>, ReadError> {
    reader.open(file, slice)?.collect()
}

/// All rows of `slice` in one batch; rejects count rows within it.
pub(super) fn read_slice(
    reader: &Reader,
    file: &InputFile,
    slice: &Slice,
) -> Result<(RecordBatch, Vec<RowReject>), ReadError> {
    let mut next = slice.start;
    let mut rejects = Vec::new();
    let batches = read(reader, file, slice)?;
    for batch in &batches {
        assert_eq!(batch.first_row, next);
        let before = (next - slice.start) as usize;
        for reject in &batch.rejects {
            assert!(reject.row < batch.batch.num_rows());
            rejects.push(RowReject { row: before + reject.row, ..reject.clone() });
        }
        next += batch.batch.num_rows() as u64;
    }
    assert_eq!(next, slice.start + slice.rows, "exactly the slice's rows");
    let schema = batches[0].batch.schema();
    let joined = concat_batches(&schema, batches.iter().map(|batch| &batch.batch)).unwrap();
    Ok((joined, rejects))
}

//! Wide rows make small batches.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use nightshift_core::plan::InputFile;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::fixtures::*;
use crate::read::Reader;
use crate::read::sizing::BATCH_BYTES;

const WIDE_BYTES: usize = 1 << 20;

/// 40 narrow rows, 60 rows of 1 MiB, 40 narrow rows.
fn batch_with_wide_rows(distinct: bool) -> RecordBatch {
    let texts = (0..140).map(|row| match row {
        40..100 if distinct => format!("{row}").repeat(WIDE_BYTES / 2),
        40..100 => "zz".repeat(WIDE_BYTES / 2),
        _ => "n".to_owned(),
    });
    let ids = Int64Array::from_iter_values(0..140);
    let texts = StringArray::from_iter_values(texts);
    RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("s", Arc::new(texts) as _)]).unwrap()
}

fn check(file: &InputFile, wanted: &RecordBatch) {
    let reader = Reader::new(plain_requests(&["id", "s"]), 8_192);
    let mut next = 0;
    for batch in reader.open(file, &whole(file)).unwrap() {
        let batch = batch.unwrap();
        let rows = batch.batch.num_rows();
        let bytes = batch.batch.column(1).to_data().buffers()[1].len();
        assert!(bytes <= BATCH_BYTES + WIDE_BYTES, "{bytes} bytes in {rows} rows");
        for (read, written) in batch.batch.columns().iter().zip(wanted.slice(next, rows).columns())
        {
            assert_eq!(read, written);
        }
        next += rows;
    }
    assert_eq!(next, 140);
}

#[test]
fn a_long_value_repeated_is_not_multiplied() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    for distinct in [false, true] {
        for statistics in [EnabledStatistics::Page, EnabledStatistics::None] {
            let wanted = batch_with_wide_rows(distinct);
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_statistics_enabled(statistics)
                .set_offset_index_disabled(statistics == EnabledStatistics::None)
                .set_write_batch_size(8);
            write_parquet(&path, &wanted, properties.build());
            check(&plan_file(&path), &wanted);
        }
    }
}

#[test]
fn text_formats_stop_a_batch_at_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let wanted = batch_with_wide_rows(true);
    for (name, bytes) in [("a.csv", csv_bytes(&wanted)), ("b.jsonl", jsonl_bytes(&wanted))] {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        check(&plan_file(&path), &wanted);
    }
}

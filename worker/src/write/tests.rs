//! What is written is read back, whatever the format; failures are told apart.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, FixedSizeListArray, Float32Array, Int64Array,
    RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float32Type, Int64Type};
use bytes::Bytes;
use nightshift_core::plan::OutputFormat;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use proptest::prelude::*;

use super::*;
use crate::reject::{RejectReason, RowReject};

fn scores(rows: &[(i64, Option<f32>, Option<String>)]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("score", Arc::new(rows.iter().map(|row| row.1).collect::<Float32Array>())),
        ("label", Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn written(
    format: OutputFormat,
    batches: &[RecordBatch],
    metadata: &[(String, String)],
) -> Vec<u8> {
    let mut writer = RowWriter::create(format, batches[0].schema(), metadata, Vec::new()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    let (bytes, rows) = writer.finish().unwrap();
    assert_eq!(rows as usize, batches.iter().map(RecordBatch::num_rows).sum::<usize>());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parquet_and_csv_rows_come_back(
        rows in prop::collection::vec(
            (any::<i64>(), prop::option::of(-1e6_f32..1e6), prop::option::of("[ ,\"\r\na-cé]{1,6}")),
            1..60,
        ),
        split in any::<prop::sample::Index>(),
    ) {
        let wanted = scores(&rows);
        let at = split.index(rows.len());
        let batches = [wanted.slice(0, at), wanted.slice(at, rows.len() - at)];
        let bytes = Bytes::from(written(OutputFormat::Parquet, &batches, &[]));
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let read: Vec<_> = read.map(Result::unwrap).collect();
        prop_assert_eq!(concat_batches(&wanted.schema(), &read).unwrap(), wanted);

        let bytes = written(OutputFormat::Csv, &batches, &[]);
        let mut reader = csv_crate(&bytes);
        prop_assert_eq!(reader.headers().unwrap(), vec!["id", "score", "label"]);
        let read: Vec<_> = reader
            .records()
            .map(|record| {
                let record = record.unwrap();
                let field = |at: usize| Some(record[at].to_owned()).filter(|text| !text.is_empty());
                (record[0].parse::<i64>().unwrap(), field(1).map(|x| x.parse::<f32>().unwrap()), field(2))
            })
            .collect();
        prop_assert_eq!(read, rows);
    }
}

fn csv_crate(bytes: &[u8]) -> ::csv::Reader<&[u8]> {
    ::csv::Reader::from_reader(bytes)
}

#[test]
fn parquet_carries_its_origin_and_what_readers_skip_by() {
    let rows: Vec<_> = (0..5_000).map(|n| (n, Some(n as f32), Some("ab".to_owned()))).collect();
    let pair = ("nightshift.run".to_owned(), "flights-2013-01-31-g1".to_owned());
    let bytes =
        Bytes::from(written(OutputFormat::Parquet, &[scores(&rows)], std::slice::from_ref(&pair)));
    let options = parquet::arrow::arrow_reader::ArrowReaderOptions::new()
        .with_page_index_policy(PageIndexPolicy::Required);
    let footer = ArrowReaderMetadata::load(&bytes, options).unwrap();
    let footer = footer.metadata();
    let pairs = footer.file_metadata().key_value_metadata().unwrap();
    assert!(pairs.iter().any(|kv| kv.key == pair.0 && kv.value.as_ref() == Some(&pair.1)));
    for column in footer.row_group(0).columns() {
        assert!(column.statistics().is_some() && column.offset_index_offset().is_some());
        let text = column.column_path().string() == "label";
        assert_eq!(column.dictionary_page_offset().is_some(), text);
    }
}

#[test]
fn row_groups_stay_within_their_size() {
    // A fixed sequence of letters that does not compress (xorshift64).
    let mut state = 88_172_645_463_325_252_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(32 + (state >> 58) as u8)
    };
    let texts: Vec<String> = (0..80).map(|_| (0..1 << 20).map(|_| letter()).collect()).collect();
    let batch = RecordBatch::try_from_iter([(
        "s",
        Arc::new(StringArray::from_iter_values(texts)) as ArrayRef,
    )]);
    let batch = batch.unwrap();
    let parts: Vec<_> = (0..80).map(|row| batch.slice(row, 1)).collect();
    let bytes = Bytes::from(written(OutputFormat::Parquet, &parts, &[]));
    let footer = ArrowReaderMetadata::load(&bytes, Default::default()).unwrap();
    assert!(footer.metadata().num_row_groups() >= 2);
    for group in footer.metadata().row_groups() {
        assert!(group.total_byte_size() as usize <= ROW_GROUP_BYTES_MAX + (2 << 20));
    }
}

#[test]
fn json_lines_have_all_keys_and_plain_values() {
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("score", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN)]))),
        ("day", Arc::new(Date32Array::from(vec![15_736, 0, 1]))),
        ("label", Arc::new(StringArray::from(vec!["a\"\n", "é", ""]))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, a)| (n, a, true))).unwrap();
    let text = String::from_utf8(written(OutputFormat::Jsonl, &[batch], &[])).unwrap();
    let wanted = concat!(
        "{\"id\":1,\"score\":0.1,\"day\":\"2013-01-31\",\"label\":\"a\\\"\\n\"}\n",
        "{\"id\":2,\"score\":null,\"day\":\"1970-01-01\",\"label\":\"é\"}\n",
        "{\"id\":3,\"score\":null,\"day\":\"1970-01-02\",\"label\":\"\"}\n",
    );
    assert_eq!(text, wanted);
}

#[test]
fn files_without_rows_are_files() {
    let empty = RecordBatch::new_empty(scores(&[]).schema());
    assert_eq!(written(OutputFormat::Csv, std::slice::from_ref(&empty), &[]), b"id,score,label\n");
    assert_eq!(written(OutputFormat::Jsonl, std::slice::from_ref(&empty), &[]), b"");
    let bytes = Bytes::from(written(OutputFormat::Parquet, &[empty], &[]));
    let footer = ArrowReaderMetadata::load(&bytes, Default::default()).unwrap();
    assert_eq!(footer.schema().fields().len(), 3);
}

#[test]
fn what_a_file_cannot_hold_is_refused() {
    let list =
        FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(1.0), None])], 2);
    let batch = RecordBatch::try_from_iter([("embedding", Arc::new(list) as ArrayRef)]).unwrap();
    let error =
        RowWriter::create(OutputFormat::Csv, batch.schema(), &[], Vec::new()).err().unwrap();
    assert!(
        error.to_string().contains("`embedding`") && error.to_string().contains("parquet"),
        "{error}"
    );
    assert_eq!(
        written(OutputFormat::Jsonl, std::slice::from_ref(&batch), &[]),
        b"{\"embedding\":[1.0,null]}\n"
    );
    let mut writer =
        RowWriter::create(OutputFormat::Parquet, batch.schema(), &[], Vec::new()).unwrap();
    let error = writer.write(&scores(&[(1, None, None)])).unwrap_err();
    assert!(matches!(error, WriteError::OtherColumns { .. }), "{error}");
}

/// A disk with so many bytes left.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_as_such() {
    let rows: Vec<_> = (0..20_000).map(|n| (n, Some(n as f32), Some(n.to_string()))).collect();
    let batch = scores(&rows);
    for format in [OutputFormat::Parquet, OutputFormat::Jsonl, OutputFormat::Csv] {
        for left in [0, 3, 1_000, 100_000] {
            let result = RowWriter::create(format, batch.schema(), &[], Full(left)).and_then(
                |mut writer| {
                    writer.write(&batch)?;
                    writer.finish()
                },
            );
            match result.map(|_| ()) {
                Err(WriteError::Io { source }) => {
                    assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{format:?} {left}");
                }
                other => panic!("{format:?} with {left} bytes: {other:?}"),
            }
        }
    }
    let mut rejects = RejectsWriter::create(Full(10));
    let reject = [RowReject::new(0, RejectReason::BadValue, None, "x")];
    let result =
        rejects.write("/a", 0, &batch, &[0], &reject).and_then(|()| rejects.finish().map(|_| ()));
    assert!(
        matches!(result, Err(WriteError::Io { source }) if source.kind() == io::ErrorKind::StorageFull)
    );
}

#[test]
fn rejects_are_lines_with_reason_and_identity() {
    let batch =
        scores(&[(7, Some(1.5), Some("a".into())), (8, None, None), (9, Some(f32::NAN), None)]);
    let rejects = [
        RowReject::new(1, RejectReason::MissingValue, Some(Arc::from("score")), "no value"),
        RowReject::new(2, RejectReason::MalformedRow, None, "5 \"fields\"\n"),
    ];
    let mut writer = RejectsWriter::create(Vec::new());
    writer.write("/in/a.csv", 100, &batch, &[0, 2], &rejects).unwrap();
    writer
        .write("/in/b.csv", 0, &batch, &[1], &[RowReject::new(0, RejectReason::BadValue, None, "")])
        .unwrap();
    let (bytes, rows) = writer.finish().unwrap();
    let wanted = concat!(
        "{\"input\":\"/in/a.csv\",\"row\":101,\"id\":{\"id\":8,\"label\":null},\"reason\":\"missing_value\",\"column\":\"score\",\"detail\":\"no value\"}\n",
        "{\"input\":\"/in/a.csv\",\"row\":102,\"id\":{\"id\":9,\"label\":null},\"reason\":\"malformed_row\",\"detail\":\"5 \\\"fields\\\"\\n\"}\n",
        "{\"input\":\"/in/b.csv\",\"row\":0,\"id\":{\"score\":1.5},\"reason\":\"bad_value\",\"detail\":\"\"}\n",
    );
    assert_eq!((String::from_utf8(bytes).unwrap().as_str(), rows), (wanted, 3));
}

#[test]
fn rejected_rows_are_taken_out() {
    let batch = scores(&[(7, Some(1.5), None), (8, None, None), (9, None, None)]);
    let reject = |row| RowReject::new(row, RejectReason::BadValue, None, "");
    let kept = without_rejected(&batch, &[reject(1), reject(1), reject(99)]).unwrap();
    assert_eq!(kept.column(0).as_primitive::<Int64Type>().values(), &[7, 9]);
    assert_eq!(without_rejected(&batch, &[]).unwrap(), batch);
    let all = without_rejected(&batch, &[reject(0), reject(1), reject(2)]).unwrap();
    assert_eq!((all.num_rows(), all.column(1).len()), (0, 0));
}

#[test]
fn a_field_may_be_nullable_or_not() {
    let strict = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let loose = RecordBatch::try_from_iter_with_nullable([(
        "id",
        Arc::new(Int64Array::from(vec![1])) as ArrayRef,
        true,
    )]);
    let mut writer = RowWriter::create(OutputFormat::Parquet, strict, &[], Vec::new()).unwrap();
    writer.write(&loose.unwrap()).unwrap();
    assert_eq!(writer.finish().unwrap().1, 1);
}

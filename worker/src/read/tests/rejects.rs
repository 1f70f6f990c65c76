//! A row that cannot be read costs that row; a file that is not the planned one costs the slice.

use std::io::Write;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use nightshift_core::plan::Slice;
use parquet::file::properties::WriterProperties;

use super::fixtures::*;
use crate::read::{ColumnRequest, ErrorClass, ReadError, Reader};
use crate::reject::RejectReason::{self, BadValue, MalformedRow};

fn write(directory: &Path, name: &str, text: &str) -> nightshift_core::plan::InputFile {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    plan_file(&path)
}

type Seen = Vec<(usize, RejectReason, Option<String>)>;

fn seen(rejects: &[crate::reject::RowReject]) -> Seen {
    rejects.iter().map(|r| (r.row, r.reason, r.column.as_deref().map(str::to_owned))).collect()
}

#[test]
fn bad_csv_rows_are_rejected_and_the_others_read() {
    let directory = tempfile::tempdir().unwrap();
    let text = "id,x,s,b\n1,1.5,a,true\n2,oops,b,\n3,1\n4, 2 ,\"c\nd\",FALSE\n\n5,,,maybe\n";
    let file = write(directory.path(), "a.csv", text);
    assert_eq!(file.rows, 5);
    let (read, rejects) = read_slice(&Reader::new(requests(), 2), &file, &whole(&file)).unwrap();
    let wanted: Seen = vec![
        (1, BadValue, Some("x".into())),
        (2, MalformedRow, None),
        (4, BadValue, Some("b".into())),
    ];
    assert_eq!(seen(&rejects), wanted);
    let ids = read.column(0).as_primitive::<Int64Type>();
    // A bad value costs the value; a broken row has none.
    assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(1), Some(2), None, Some(4), Some(5)]);
    let x = read.column(1).as_primitive::<Float64Type>();
    assert_eq!(x.iter().collect::<Vec<_>>(), [Some(1.5), None, None, Some(2.0), None]);
    assert_eq!(read.column(2).as_string::<i32>().value(3), "c\nd");
    assert!(rejects[0].detail.contains("oops"), "{}", rejects[0].detail);
}

#[test]
fn bad_json_rows_are_rejected_and_the_others_read() {
    let directory = tempfile::tempdir().unwrap();
    let text = concat!(
        "{\"id\":1,\"x\":2,\"s\":\"a\",\"b\":true,\"more\":{\"x\":[1]}}\n",
        "  \n",
        "{\"id\":2,\"x\":\"2.5\",\"s\":7}\n",
        "{\"id\":3,\"x\":[1]}\n",
        "not json\n",
        "[1,2]\n",
        "{\"id\":4.0,\"id\":5,\"x\":null} trailing\n",
        "{\"id\":6.5}\n",
        "{\"id\":9,\"id\":8.0}"
    );
    let file = write(directory.path(), "a.jsonl", text);
    assert_eq!(file.rows, 8);
    let (read, rejects) = read_slice(&Reader::new(requests(), 3), &file, &whole(&file)).unwrap();
    let wanted: Seen = vec![
        (2, BadValue, Some("x".into())),
        (3, MalformedRow, None),
        (4, MalformedRow, None),
        (5, MalformedRow, None),
        (6, BadValue, Some("id".into())),
    ];
    assert_eq!(seen(&rejects), wanted);
    let ids = read.column(0).as_primitive::<Int64Type>();
    let wanted = [Some(1), Some(2), Some(3), None, None, None, None, Some(8)];
    assert_eq!(ids.iter().collect::<Vec<_>>(), wanted);
    assert_eq!(read.column(2).as_string::<i32>().value(1), "7");
    assert_eq!(read.column(1).as_primitive::<Float64Type>().value(1), 2.5);
}

#[test]
fn a_row_beyond_the_limit_is_one_reject() {
    let directory = tempfile::tempdir().unwrap();
    let long = "y".repeat(17 << 20);
    let csv = format!("id,s\n1,a\n2,{long}\n3,c\n");
    let json = format!("{{\"id\":1}}\n{{\"id\":2,\"s\":\"{long}\"}}\n{{\"id\":3,\"s\":\"c\"}}\n");
    for file in [write(directory.path(), "a.csv", &csv), write(directory.path(), "a.jsonl", &json)]
    {
        assert_eq!(file.rows, 3, "{}", file.uri);
        let reader = Reader::new(plain_requests(&["id", "s"]), 10);
        let (read, rejects) = read_slice(&reader, &file, &whole(&file)).unwrap();
        assert_eq!(seen(&rejects), [(1, MalformedRow, None)]);
        let ids = read.column(0).as_primitive::<Int64Type>();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
    }
}

#[test]
fn parquet_values_that_do_not_convert_are_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let rows: Vec<Row> = vec![
        (1, Some(1.0), Some("1".into()), None),
        (1 << 40, Some(1.5), Some("x".into()), None),
        (3, Some(f64::NAN), None, None),
    ];
    write_parquet(&path, &batch(&rows), WriterProperties::default());
    let file = plan_file(&path);
    let ask = |name: &str, as_type| ColumnRequest::typed(name, as_type);
    let read = |request| read_slice(&Reader::new(vec![request], 10), &file, &whole(&file)).unwrap();
    let (read_ids, rejects) = read(ask("id", DataType::Int32));
    assert_eq!(seen(&rejects), [(1, BadValue, Some("id".into()))]);
    assert!(read_ids.column(0).is_null(1) && read_ids.column(0).is_valid(2));
    let (_, rejects) = read(ask("x", DataType::Int64));
    let wanted: Seen = vec![(1, BadValue, Some("x".into())), (2, BadValue, Some("x".into()))];
    assert_eq!(seen(&rejects), wanted);
    let (_, rejects) = read(ask("s", DataType::Float64));
    assert_eq!(seen(&rejects), [(1, BadValue, Some("s".into()))]);
}

#[test]
fn another_version_is_refused_before_and_after_reading() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "a.csv", "id\n1\n2\n3\n");
    let reader = Reader::new(plain_requests(&["id"]), 1);
    let mut open = reader.open(&file, &whole(&file)).unwrap();
    open.next().unwrap().unwrap();
    std::fs::OpenOptions::new().append(true).open(&file.uri).unwrap().write_all(b"4\n").unwrap();
    let last = open.by_ref().find_map(Result::err).expect("the last row is not handed out");
    assert!(matches!(&last, ReadError::Changed { .. }), "{last}");
    assert!(open.next().is_none());
    let error = reader.open(&file, &whole(&file)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Changed);
    assert!(
        error.to_string().contains("9 bytes") && error.to_string().contains("11 bytes"),
        "{error}"
    );
    std::fs::remove_file(&file.uri).unwrap();
    let fresh = Reader::new(plain_requests(&["id"]), 1).open(&file, &whole(&file)).unwrap_err();
    assert_eq!(fresh.class(), ErrorClass::Missing);
}

#[test]
fn a_plan_with_more_rows_than_the_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = write(directory.path(), "a.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    file.rows = 5;
    let reader = Reader::new(plain_requests(&["id"]), 10);
    let error = read(&reader, &file, &whole(&file)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Changed);
    let beyond = Slice { input: 0, start: 3, rows: 4, seek: None };
    assert!(matches!(reader.open(&file, &beyond), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn a_missing_column_and_an_impossible_type_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    write_parquet(&path, &batch(&[(1, None, None, None)]), WriterProperties::default());
    let file = plan_file(&path);
    let error = Reader::new(plain_requests(&["nope"]), 1).open(&file, &whole(&file)).unwrap_err();
    assert!(error.to_string().contains("`nope`"), "{error}");
    let wanted = DataType::Time32(arrow::datatypes::TimeUnit::Second);
    let request = ColumnRequest::typed("b", wanted);
    let error = Reader::new(vec![request], 1).open(&file, &whole(&file)).unwrap_err();
    assert!(matches!(error, ReadError::WrongType { .. }), "{error}");
}

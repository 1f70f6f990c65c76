//! Rows are counted, columns typed, versions pinned; what is wrong is named.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::input::{InputObject, discover, verify_pin};

fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) -> Found {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    discover(path.to_str().unwrap(), None).unwrap().remove(0)
}

fn parquet(directory: &Path, name: &str, columns: &[(&str, ArrayRef)]) -> Found {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    write(directory, name, writer.into_inner().unwrap())
}

fn needed(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn types(inspected: &Inspected) -> Vec<String> {
    let fields = inspected.schema.fields().iter();
    fields.map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}

#[test]
fn a_csv_file_is_counted_and_typed() {
    let directory = tempfile::tempdir().unwrap();
    let text = "id,x,s,,b\n1,1,\"a\nb\",0,true\n2,1.5,c,0,\n\nbroken\n";
    let found = write(directory.path(), "date=2013-01-01/s=path/a.csv", text);
    let inspected = inspect(&found, &[]).unwrap();
    assert_eq!(inspected.file.rows, 3);
    assert_eq!(
        types(&inspected),
        ["id: Int64", "x: Float64", "s: Utf8", "b: Boolean", "date: Utf8"],
        "the column `s` of the file wins over that of the path"
    );
    assert_eq!(inspected.file.partition_columns.len(), 1);
    assert_eq!(inspected.file.pin.size_bytes, text.len() as u64);
    assert!(inspected.file.pin.version.starts_with("mtime:"), "{:?}", inspected.file.pin);
    let inspected = inspect(&found, &needed(&["s", "date"])).unwrap();
    assert_eq!(types(&inspected), ["s: Utf8", "date: Utf8"]);
    assert_eq!(inspected.file.columns.len(), 1);
    let error = inspect(&found, &needed(&["delay"])).unwrap_err().to_string();
    assert!(error.contains("`delay`") && error.contains("id, x, s, b, date"), "{error}");
}

#[test]
fn headers_that_cannot_name_columns_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 4] = [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b,a\n1,2,3\n", "names column `a` twice"),
        (b"a,\xff\n", "is not UTF-8 in column 2"),
    ];
    for (bytes, wanted) in cases {
        let error = inspect(&write(directory.path(), "a.csv", bytes), &[]).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("a.csv"), "{error}");
    }
}

#[test]
fn parquet_files_that_are_none_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let whole =
        parquet(directory.path(), "a.parquet", &[("id", Arc::new(Int64Array::from(vec![1, 2])))]);
    let inspected = inspect(&whole, &[]).unwrap();
    assert_eq!((inspected.file.rows, types(&inspected)), (2, vec!["id: Int64".to_owned()]));
    let bytes = fs::read(&whole.uri).unwrap();
    let cut = &bytes[..bytes.len() - 3];
    for (bytes, wanted) in
        [(&b""[..], "is empty"), (b"PAR1", "too few"), (cut, "PAR1"), (&[0; 100], "PAR1")]
    {
        let error =
            inspect(&write(directory.path(), "b.parquet", bytes), &[]).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.contains("b.parquet"), "{error}");
    }
}

#[test]
fn text_files_are_made_to_agree() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.csv", "id,x,s\n1,1,1\n");
    write(directory.path(), "b.csv", "s,id,x\nword,2,\n");
    write(directory.path(), "c.csv", "id,x,s\n3,2.5,\n");
    let found = discover(directory.path().to_str().unwrap(), None).unwrap();
    let inspected = inspect_all(&found, &needed(&["id", "x", "s"])).unwrap();
    for file in &inspected {
        let mut types = types(file);
        types.sort();
        assert_eq!(types, ["id: Int64", "s: Utf8", "x: Float64"]);
    }
}

#[test]
fn json_columns_may_come_from_any_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.jsonl", "{\"id\":1}\n\n{\"id\":2,\"x\":null}\nno json\n");
    write(directory.path(), "b.jsonl", "{\"id\":3,\"y\":1.5}\n");
    let found = discover(directory.path().to_str().unwrap(), None).unwrap();
    let inspected = inspect_all(&found, &needed(&["id", "x", "y"])).unwrap();
    assert_eq!(inspected[0].file.rows, 3);
    for file in &inspected {
        assert_eq!(types(file), ["id: Int64", "x: Utf8", "y: Float64"]);
    }
    let error = inspect_all(&found, &needed(&["id", "z"])).unwrap_err().to_string();
    assert!(error.contains("`z`") && error.contains("id"), "{error}");
}

#[test]
fn parquet_files_must_agree() {
    let directory = tempfile::tempdir().unwrap();
    let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let word: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    parquet(directory.path(), "a.parquet", &[("x", Arc::clone(&x)), ("y", Arc::clone(&x))]);
    parquet(directory.path(), "b.parquet", &[("x", x), ("y", word)]);
    let found = discover(directory.path().to_str().unwrap(), None).unwrap();
    assert!(inspect_all(&found, &needed(&["x"])).is_ok(), "only what is needed must agree");
    let error = inspect_all(&found, &needed(&["x", "y"])).unwrap_err().to_string();
    for part in ["`y`", "a.parquet", "b.parquet", "Float64", "Utf8"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_first_error_is_told() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..40 {
        write(
            directory.path(),
            &format!("{number:02}.csv"),
            if number >= 20 { "" } else { "id\n1\n" },
        );
    }
    let found = discover(directory.path().to_str().unwrap(), None).unwrap();
    let error = inspect_all(&found, &[]).unwrap_err().to_string();
    assert!(error.contains("20.csv"), "{error}");
}

#[test]
fn another_version_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let found = write(directory.path(), "a.csv", "id\n1\n");
    let file = inspect(&found, &[]).unwrap().file;
    verify_pin(&file).unwrap();
    let object = InputObject::open(&file.uri).unwrap();
    let rewritten = fs::File::options().write(true).open(&file.uri).unwrap();
    rewritten.set_modified(std::time::UNIX_EPOCH).unwrap();
    let error = verify_pin(&file).unwrap_err().to_string();
    assert!(error.contains(&file.pin.version) && error.contains("mtime:0"), "{error}");
    assert!(matches!(object.check(&file.pin), Err(InputError::Changed { .. })));
    fs::remove_file(&file.uri).unwrap();
    assert!(matches!(verify_pin(&file), Err(InputError::Missing { .. })));
}

#[test]
fn damaged_compression_is_named_with_the_rows_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = zstd::encode_all(&b"id\n1\n2\n"[..], 1).unwrap();
    let error = inspect(&write(directory.path(), "a.csv.zst", &bytes[..bytes.len() - 2]), &[]);
    assert!(matches!(error, Err(InputError::Compressed { .. })), "{error:?}");
    let error = inspect(&write(directory.path(), "a.csv.gz", b"id\n1\n"), &[]).unwrap_err();
    assert!(matches!(error, InputError::Compressed { .. }), "{error}");
}

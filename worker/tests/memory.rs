//! Memory law of reading and writing: a file ten times larger does not need more.
//!
//! One test in a process of its own, since it looks at the peak of the whole process.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use nightshift_core::plan::{OutputFormat, Slice};
use nightshift_storage::input::{discover, inspect_all};
use nightshift_worker::read::{ColumnRequest, Reader};
use nightshift_worker::write::RowWriter;

/// Bytes of text in one row.
const TEXT_BYTES: usize = 400;

/// Letters without repetition (xorshift64), from which rows take their text.
fn letters() -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let letters = (0..1 << 20).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 58) as u8)
    });
    letters.collect()
}

/// A thousand rows from `start` on, of text that hardly compresses.
fn batch(letters: &str, start: i64) -> RecordBatch {
    let text = |row: i64| {
        let at = row as usize * 7_919 % (letters.len() - TEXT_BYTES);
        &letters[at..at + TEXT_BYTES]
    };
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(start..start + 1_000))),
        ("s", Arc::new(StringArray::from_iter_values((start..start + 1_000).map(text)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write(path: &Path, format: OutputFormat, letters: &str, rows: i64) {
    let file = File::create(path).unwrap();
    let mut writer = RowWriter::create(format, batch(letters, 0).schema(), &[], file).unwrap();
    for start in (0..rows).step_by(1_000) {
        writer.write(&batch(letters, start)).unwrap();
    }
    writer.finish().unwrap().0.flush().unwrap();
}

/// Plans and reads the whole file as one slice.
fn read(path: &Path, rows: i64) {
    let found = discover(path.to_str().unwrap(), None).unwrap();
    let file = inspect_all(&found, &[]).unwrap().remove(0).file;
    let columns = ["id", "s"].map(ColumnRequest::plain);
    let reader = Reader::new(columns.to_vec(), 8_192);
    let slice = Slice { input: 0, start: 0, rows: file.rows, seek: None };
    let read: usize =
        reader.open(&file, &slice).unwrap().map(|b| b.unwrap().batch.num_rows()).sum();
    assert_eq!(read as i64, rows);
}

/// Peak of resident memory since the last call, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // 5 sets the peak back to the present (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib
}

#[test]
fn ten_times_the_rows_take_the_same_memory() {
    let directory = tempfile::tempdir().unwrap();
    let letters = letters();
    // Enough for Parquet to fill a row group (32 MiB), and for text to fill its batches (8 MiB).
    let sizes = [
        (OutputFormat::Parquet, 100_000),
        (OutputFormat::Jsonl, 25_000),
        (OutputFormat::Csv, 25_000),
    ];
    for (format, rows) in sizes {
        let path = directory.path().join(format!("rows.{}", format.extension()));
        // A first round warms the allocator up.
        let mut peaks = Vec::new();
        for rows in [rows, rows, 10 * rows] {
            peak_kib();
            write(&path, format, &letters, rows);
            let writing = peak_kib();
            read(&path, rows);
            peaks.push((writing, peak_kib()));
        }
        // The larger file has 100 to 400 MB; what it may take more is noise of the allocator.
        let (before, after) = (peaks[1], peaks[2]);
        let more = |before: u64, after: u64| after.saturating_sub(before);
        assert!(more(before.0, after.0) < 16 << 10, "writing {format:?}: {peaks:?} KiB");
        assert!(more(before.1, after.1) < 16 << 10, "reading {format:?}: {peaks:?} KiB");
        std::fs::remove_file(&path).unwrap();
    }
}

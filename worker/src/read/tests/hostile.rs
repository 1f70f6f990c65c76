//! Any bytes: rows or a typed error, no panic that gets out.

use std::path::Path;
use std::sync::Once;

use nightshift_core::plan::{Compression, InputFormat};
use nightshift_storage::input::{discover, inspect};
use parquet::basic::Compression as Codec;
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::fixtures::*;
use crate::read::{ErrorClass, Reader};

/// The decoder's panics are part of these tests; their messages would hide everything else.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or("", |location| location.file());
            if !place.contains(".cargo")
                && !place.contains("/rustc/")
                && !place.contains("library/")
            {
                usual(info);
            }
        }));
    });
}

/// Plans and reads the file at `path` in slices; returns the rows read if all went well.
fn try_read(path: &Path) -> Option<u64> {
    quiet();
    let found = discover(path.to_str().unwrap(), None).unwrap().remove(0);
    let inspected = inspect(&found, &[]).ok()?;
    let file = inspected.file;
    let names: Vec<&str> = inspected.schema.fields().iter().map(|f| f.name().as_str()).collect();
    let reader = Reader::new(plain_requests(&names), 64);
    let mut start = 0;
    while start < file.rows {
        let rows = (file.rows - start).min(97);
        let slice = nightshift_core::plan::Slice { input: 0, start, rows, seek: None };
        match read(&reader, &file, &slice) {
            Ok(batches) => {
                let read: u64 = batches.iter().map(|batch| batch.batch.num_rows() as u64).sum();
                assert_eq!(read, rows);
            }
            Err(error) => {
                assert_ne!(error.class(), ErrorClass::Transient, "{error}");
                return None;
            }
        }
        start += rows;
        // A damaged footer may claim any number of rows; a few slices show what there is to show.
        if start > 4_000 {
            return None;
        }
    }
    Some(start)
}

fn small_rows(count: i64) -> Vec<Row> {
    (0..count)
        .map(|n| {
            (
                n,
                Some(n as f64 / 3.0),
                (n % 4 > 0).then(|| format!("text {}", n % 7)),
                Some(n % 2 == 0),
            )
        })
        .collect()
}

fn parquet_files() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let layouts = [
        (Codec::UNCOMPRESSED, WriterVersion::PARQUET_1_0, true),
        (Codec::SNAPPY, WriterVersion::PARQUET_2_0, false),
        (Codec::ZSTD(Default::default()), WriterVersion::PARQUET_2_0, true),
    ];
    let files = layouts.map(|(codec, version, dictionary)| {
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .set_max_row_group_row_count(Some(120))
            .set_data_page_row_count_limit(50)
            .set_write_batch_size(10);
        write_parquet(&path, &batch(&small_rows(300)), properties.build());
        std::fs::read(&path).unwrap()
    });
    files.to_vec()
}

#[test]
fn truncated_at_any_length() {
    let directory = tempfile::tempdir().unwrap();
    let small = batch(&small_rows(20));
    let path = directory.path().join("a.parquet");
    write_parquet(&path, &small, WriterProperties::default());
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(try_read(&path), None, "{length} of {} bytes", whole.len());
    }
    for (extension, bytes) in [("csv", csv_bytes(&small)), ("jsonl", jsonl_bytes(&small))] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let bytes = compressed(&bytes, compression);
            let path = text_path(directory.path(), extension, compression);
            for length in 0..bytes.len() {
                std::fs::write(&path, &bytes[..length]).unwrap();
                try_read(&path);
            }
        }
    }
}

#[test]
fn a_footer_that_lies_about_its_length_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    for length in [0_u32, 1, 4_000, u32::MAX] {
        let mut bytes = b"PAR1 some bytes that are no footer".to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(b"PAR1");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(try_read(&path), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn parquet_with_flipped_bits(
        which in 0_usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..5),
        in_footer in any::<bool>(),
    ) {
        thread_local!(static FILES: Vec<Vec<u8>> = parquet_files());
        let mut bytes = FILES.with(|files| files[which].clone());
        for (at, bit) in flips {
            // The footer is where lies do most, and a small part of the file.
            let span = if in_footer { bytes.len().min(2_000) } else { bytes.len() };
            let at = bytes.len() - 1 - at.index(span);
            bytes[at] ^= 1 << bit;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        try_read(&path);
    }

    #[test]
    fn random_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        name in prop_oneof![
            Just("a.parquet"), Just("a.csv"), Just("a.jsonl"),
            Just("a.csv.gz"), Just("a.csv.zst"), Just("a.jsonl.gz"), Just("a.jsonl.zst"),
        ],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        try_read(&path);
    }

    #[test]
    fn text_of_meaningful_bytes(text in "[a-c1\",\n\r{}:\\[\\] ]{0,300}", json in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(if json { "a.jsonl" } else { "a.csv" });
        let text = if json { text } else { format!("a,b\n{text}") };
        std::fs::write(&path, text).unwrap();
        prop_assert!(try_read(&path).is_some(), "plain text always has rows or rejects");
    }

    #[test]
    fn compressed_text_with_flipped_bits(
        gzip in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4),
    ) {
        let compression = if gzip { Compression::Gzip } else { Compression::Zstd };
        let mut bytes = compressed(&csv_bytes(&batch(&small_rows(200))), compression);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = text_path(directory.path(), "csv", compression);
        std::fs::write(&path, bytes).unwrap();
        try_read(&path);
    }
}

/// A plan may be stale or wrong about the format: still no panic.
#[test]
fn a_file_planned_as_another_format() {
    quiet();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.csv");
    std::fs::write(&path, "id\n1\n2\n").unwrap();
    for format in [InputFormat::Parquet, InputFormat::Jsonl] {
        let mut file = plan_file(&path);
        file.format = format;
        let reader = Reader::new(plain_requests(&["id"]), 10);
        match read(&reader, &file, &whole(&file)) {
            Err(error) => assert_eq!(error.class(), ErrorClass::Data),
            Ok(batches) => assert_eq!(batches[0].rejects.len(), 2),
        }
    }
}

//! Any rows, any slices, any order: the same rows as were written.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type};
use nightshift_core::plan::{Compression, InputFile, Shard, Sharding};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::fixtures::*;
use crate::read::{ColumnRequest, Reader};

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)]
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::UNCOMPRESSED),
        Just(Codec::SNAPPY),
        Just(Codec::LZ4_RAW),
        Just(Codec::ZSTD(ZstdLevel::default())),
    ]
}

prop_compose! {
    fn layout()(
        codec in codec(),
        group_rows in 1_usize..300,
        page_rows in 1_usize..60,
        dictionary in any::<bool>(),
        version_2 in any::<bool>(),
        page_index in any::<bool>(),
    ) -> WriterProperties {
        WriterProperties::builder()
            .set_compression(codec)
            .set_max_row_group_row_count(Some(group_rows))
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(page_rows.min(7))
            .set_dictionary_enabled(dictionary)
            .set_writer_version(if version_2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
            .set_statistics_enabled(if page_index { EnabledStatistics::Page } else { EnabledStatistics::None })
            .set_offset_index_disabled(!page_index)
            .build()
    }
}

prop_compose! {
    /// How a run goes over its rows: size of shards, size of batches, order of shards.
    fn course()(
        shard_rows in 1_u64..150,
        batch_rows in 1_usize..100,
        shuffle in any::<bool>(),
        order in any::<prop::sample::Index>(),
    ) -> (u64, usize, Option<prop::sample::Index>) {
        (shard_rows, batch_rows, shuffle.then_some(order))
    }
}

/// Reads all shards with one reader, two at a time, with smaller and smaller batches, and puts
/// the rows back in order.
fn read_all(
    files: &[InputFile],
    shards: &[Shard],
    batch_rows: usize,
    shuffle: Option<prop::sample::Index>,
    requests: Vec<ColumnRequest>,
) -> RecordBatch {
    let reader = Reader::new(requests, batch_rows);
    let mut order: Vec<usize> = (0..shards.len()).collect();
    if let Some(index) = shuffle {
        order.rotate_left(index.index(shards.len()));
        order.swap(0, shards.len() / 2);
    }
    let mut parts: Vec<Option<Vec<RecordBatch>>> = vec![None; shards.len()];
    for (done, pair) in order.chunks(2).enumerate() {
        // Open both before either is read: two threads would.
        let open = pair.iter().map(|&shard| {
            let slices = shards[shard].slices.iter();
            let opened =
                slices.map(|slice| reader.open(&files[slice.input as usize], slice).unwrap());
            (shard, opened.collect::<Vec<_>>())
        });
        let open = open.collect::<Vec<_>>();
        // What is open already, and decoders that are kept for later, read less at a time too.
        reader.limit_batches(batch_rows.saturating_sub(done));
        let most = reader.batch_rows();
        for (shard, slices) in open {
            let batches = slices.into_iter().flatten().map(|read| {
                let read = read.unwrap();
                assert!(read.rejects.is_empty(), "{:?}", read.rejects);
                assert!((1..=most).contains(&read.batch.num_rows()));
                read.batch
            });
            let batches: Vec<_> = batches.collect();
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows as u64, shards[shard].rows());
            parts[shard] = Some(batches);
        }
    }
    let parts: Vec<RecordBatch> = parts.into_iter().flatten().flatten().collect();
    concat_batches(&parts[0].schema(), &parts).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn parquet_rows_come_back(
        files in prop::collection::vec((rows(400), layout()), 1..3),
        (shard_rows, batch_rows, shuffle) in course(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let batches: Vec<RecordBatch> = files.iter().map(|(rows, _)| batch(rows)).collect();
        for (number, ((_, layout), batch)) in files.iter().zip(&batches).enumerate() {
            write_parquet(&directory.path().join(format!("{number}.parquet")), batch, layout.clone());
        }
        let (files, shards) = plan(directory.path(), Sharding::Rows(shard_rows));
        let wanted = concat_batches(&batches[0].schema(), &batches).unwrap();
        let read = read_all(&files, &shards, batch_rows, shuffle, requests());
        prop_assert_eq!(&read, &wanted);
        let read = read_all(&files, &shards, batch_rows, shuffle, plain_requests(&["id", "x", "s", "b"]));
        prop_assert_eq!(&read, &wanted);
    }

    #[test]
    fn csv_rows_come_back(
        rows in rows(2_000),
        compression in compression(),
        (shard_rows, batch_rows, shuffle) in course(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let wanted = batch(&rows);
        let bytes = compressed(&csv_bytes(&wanted), compression);
        std::fs::write(text_path(directory.path(), "csv", compression), bytes).unwrap();
        let (files, shards) = plan(directory.path(), Sharding::Rows(shard_rows));
        prop_assert_eq!(read_all(&files, &shards, batch_rows, shuffle, requests()), wanted);
    }

    #[test]
    fn json_rows_come_back(
        rows in rows(2_000),
        compression in compression(),
        (shard_rows, batch_rows, shuffle) in course(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let wanted = batch(&rows);
        let bytes = compressed(&jsonl_bytes(&wanted), compression);
        std::fs::write(text_path(directory.path(), "jsonl", compression), bytes).unwrap();
        let (files, shards) = plan(directory.path(), Sharding::Rows(shard_rows));
        prop_assert_eq!(read_all(&files, &shards, batch_rows, shuffle, requests()), wanted);
    }
}

#[test]
fn columns_of_the_path_and_types_as_asked() {
    let directory = tempfile::tempdir().unwrap();
    let day = directory.path().join("date=2013-01-31").join("hour=07");
    std::fs::create_dir_all(&day).unwrap();
    let rows: Vec<Row> = (0..10).map(|n| (n, Some(n as f64), Some(n.to_string()), None)).collect();
    write_parquet(&day.join("a.parquet"), &batch(&rows), WriterProperties::default());
    let (files, shards) = plan(directory.path(), Sharding::File);
    let ask = |name: &str, as_type| ColumnRequest {
        name: name.into(),
        as_type,
        views: false,
        json: false,
    };
    let requests = vec![
        ask("hour", Some(DataType::Int32)),
        ask("s", Some(DataType::Float32)),
        ask("date", None),
        ask("id", Some(DataType::Utf8)),
        ask("x", Some(DataType::Int64)),
    ];
    let reader = Reader::new(requests, 100);
    let (read, rejects) = read_slice(&reader, &files[0], &shards[0].slices[0]).unwrap();
    assert!(rejects.is_empty());
    let row = |column: usize| {
        arrow::util::display::array_value_to_string(read.column(column), 3).unwrap()
    };
    assert_eq!([row(0), row(1), row(2), row(3), row(4)], ["7", "3.0", "2013-01-31", "3", "3"]);
    assert_eq!(read.column(4).as_primitive::<Int64Type>().value(9), 9);
}

#[test]
fn only_columns_of_the_path_still_have_one_row_each() {
    let directory = tempfile::tempdir().unwrap();
    let day = directory.path().join("date=2013-01-31");
    std::fs::create_dir_all(&day).unwrap();
    let rows: Vec<Row> = (0..10).map(|n| (n, None, None, None)).collect();
    write_parquet(&day.join("a.parquet"), &batch(&rows), WriterProperties::default());
    std::fs::write(directory.path().join("rows.csv"), "a\n1\n2\n").unwrap();
    let file = plan_file(&day.join("a.parquet"));
    let reader = Reader::new(plain_requests(&["date"]), 4);
    let (read, _) = read_slice(&reader, &file, &whole(&file)).unwrap();
    assert_eq!((read.num_rows(), read.num_columns()), (10, 1));
    let csv = plan_file(&directory.path().join("rows.csv"));
    let (read, _) = read_slice(&Reader::new(Vec::new(), 4), &csv, &whole(&csv)).unwrap();
    assert_eq!((read.num_rows(), read.num_columns()), (2, 0));
}

#[test]
fn threads_that_share_a_reader_read_each_row_once() {
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<Row> =
        (0..20_000).map(|n| (n, Some(n as f64), Some(format!("text {n}")), None)).collect();
    let wanted = batch(&rows);
    write_parquet(&directory.path().join("a.parquet"), &wanted, WriterProperties::default());
    let gzip = compressed(&csv_bytes(&wanted), Compression::Gzip);
    std::fs::create_dir(directory.path().join("text")).unwrap();
    std::fs::write(directory.path().join("text/a.csv.gz"), gzip).unwrap();
    for path in ["a.parquet", "text/a.csv.gz"] {
        let (files, shards) = plan(&directory.path().join(path), Sharding::Rows(100));
        let reader = Reader::new(requests(), 64);
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let claim = || next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    while let Some(shard) = shards.get(claim()) {
                        let slice = &shard.slices[0];
                        let (read, rejects) = read_slice(&reader, &files[0], slice).unwrap();
                        assert!(rejects.is_empty());
                        assert_eq!(read, wanted.slice(slice.start as usize, slice.rows as usize));
                    }
                });
            }
        });
    }
}

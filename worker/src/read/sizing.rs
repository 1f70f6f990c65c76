//! How many rows make a batch of bounded size.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use nightshift_core::plan::Slice;
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;

/// Bytes of one batch, before one row more than that is a batch of its own. Above it larger
/// batches gain no speed; a few of them per thread fit into a small pod.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// Rows of the first projected columns that decode to about [`BATCH_BYTES`], from what footer and
/// page index tell about the densest part of `slice`; at least 1.
///
/// The estimate of a row group is its mean; where a page index exists, the densest page of each
/// text column counts, so that a run of wide rows among narrow ones is seen.
pub(super) fn rows_per_batch(
    metadata: &ParquetMetaData,
    leaves: &[usize],
    starts: &[u64],
    slice: &Slice,
) -> usize {
    let end = slice.start.saturating_add(slice.rows);
    let mut densest = 1_u64;
    let skipped = starts.partition_point(|&start| start <= slice.start).saturating_sub(1);
    let groups = metadata.row_groups().iter().zip(starts).enumerate().skip(skipped);
    for (group, (row_group, &first)) in groups.take_while(|&(_, (_, &first))| first < end) {
        let rows = row_group.num_rows().unsigned_abs();
        if rows == 0 {
            continue;
        }
        let per_row = leaves.iter().map(|&leaf| {
            let Some(column) = row_group.columns().get(leaf) else { return 0 };
            let plain = column.uncompressed_size().unsigned_abs();
            let mean = plain / rows;
            if column.column_type() != Type::BYTE_ARRAY {
                return mean;
            }
            let expansion = plain.div_ceil(column.compressed_size().unsigned_abs().max(1)).max(1);
            let pages = Pages { metadata, group, leaf, first, rows };
            pages.densest(slice.start, end).saturating_mul(expansion).max(mean)
        });
        densest = densest.max(per_row.fold(0, u64::saturating_add));
    }
    usize::try_from(BATCH_BYTES as u64 / densest).unwrap_or(1).max(1)
}

/// The pages of one column chunk.
struct Pages<'a> {
    metadata: &'a ParquetMetaData,
    group: usize,
    leaf: usize,
    first: u64,
    rows: u64,
}

impl Pages<'_> {
    /// Most compressed bytes per row of any page that overlaps `start..end`; 0 without an index.
    fn densest(&self, start: u64, end: u64) -> u64 {
        let index = self.metadata.page_index();
        let Some(pages) = index.and_then(|index| index.page_locations(self.group, self.leaf))
        else {
            return 0;
        };
        let ends = pages.iter().skip(1).map(|page| page.first_row_index.unsigned_abs());
        let ends = ends.chain(std::iter::once(self.rows));
        let overlapping = pages.iter().zip(ends).filter_map(|(page, page_end)| {
            let page_start = page.first_row_index.unsigned_abs();
            let overlaps = self.first.saturating_add(page_start) < end
                && self.first.saturating_add(page_end) > start;
            let rows = page_end.saturating_sub(page_start).max(1);
            overlaps.then(|| u64::from(page.compressed_page_size.unsigned_abs()).div_ceil(rows))
        });
        overlapping.max().unwrap_or(0)
    }
}

/// How many of the first `rows` rows of `batch` have at most [`BATCH_BYTES`] of text in columns
/// that share their text (views); at least 1. Written out, shared text is as long as it reads.
pub(super) fn rows_that_fit(batch: &RecordBatch, rows: usize) -> usize {
    let lengths: Vec<Vec<u32>> = batch
        .columns()
        .iter()
        .filter_map(|column| {
            let views = match column.data_type() {
                DataType::Utf8View => column.as_string_view().views(),
                DataType::BinaryView => column.as_binary_view().views(),
                _ => return None,
            };
            // The low 32 bits of a view are the length (Arrow columnar format, variable-size views).
            let lengths: Vec<u32> = views.iter().take(rows).map(|&view| view as u32).collect();
            let total: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
            (total > 0).then_some(lengths)
        })
        .collect();
    let total: u64 = lengths.iter().flatten().map(|&length| u64::from(length)).sum();
    if total <= BATCH_BYTES as u64 {
        return rows;
    }
    let mut sum = 0_u64;
    let fits = (0..rows).take_while(|&row| {
        let width = lengths.iter().filter_map(|column| column.get(row));
        sum += width.map(|&length| u64::from(length)).sum::<u64>();
        sum <= BATCH_BYTES as u64
    });
    fits.count().max(1)
}

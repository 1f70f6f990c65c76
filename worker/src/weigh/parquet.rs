//! What decoding a Parquet file takes, from its footer.

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::Weight;
use crate::read::BATCH_BYTES;

/// Bytes of a page, and of a dictionary, unless a writer was told otherwise: what parquet-mr,
/// parquet-rs and pyarrow aim at. A footer does not say how large its pages are.
const PAGE_BYTES: u64 = 1 << 20;

/// Bytes of a reference to text in a batch (Arrow columnar format, variable-size views).
const VIEW_BYTES: u64 = 16;

/// What a column of one row group takes.
#[derive(Default)]
struct Column {
    decoder_bytes: u64,
    /// A row as it is stored, by which the reader sizes its batches.
    stored_row_bytes: u64,
    /// A row as it is decoded, without text.
    fixed_row_bytes: u64,
    /// Text of a row, where it is written out.
    text_row_bytes: u64,
}

/// The weight of a file of which `columns` are read in batches of at most `batch_rows`, and
/// `carried` of them written.
pub(super) fn weight(
    metadata: &ParquetMetaData,
    columns: &[&str],
    carried: &[&str],
    batch_rows: u64,
) -> Weight {
    let mut heaviest = Weight { footer_bytes: metadata.memory_size() as u64, ..Weight::default() };
    for group in metadata.row_groups() {
        let rows = group.num_rows().unsigned_abs().max(1);
        let (mut all, mut written) = (Column::default(), 0);
        for chunk in group.columns() {
            let Some(name) = chunk.column_path().parts().first() else { continue };
            if !columns.contains(&name.as_str()) {
                continue;
            }
            let column = column(chunk, rows);
            all.decoder_bytes += column.decoder_bytes;
            all.stored_row_bytes += column.stored_row_bytes;
            all.fixed_row_bytes += column.fixed_row_bytes;
            all.text_row_bytes += column.text_row_bytes;
            if carried.contains(&name.as_str()) {
                written += column.fixed_row_bytes + column.text_row_bytes;
            }
        }
        let fitting = (BATCH_BYTES as u64 / all.stored_row_bytes.max(1)).max(1);
        let rows = fitting.min(batch_rows).min(rows);
        let text = rows.saturating_mul(all.text_row_bytes);
        let text = text.min(all.text_row_bytes.max(BATCH_BYTES as u64));
        let batch_bytes = text + rows.saturating_mul(all.fixed_row_bytes);
        heaviest.decoder_bytes = heaviest.decoder_bytes.max(all.decoder_bytes);
        heaviest.batch_bytes = heaviest.batch_bytes.max(batch_bytes);
        heaviest.carried_row_bytes = heaviest.carried_row_bytes.max(written);
    }
    heaviest
}

fn column(chunk: &ColumnChunkMetaData, rows: u64) -> Column {
    let plain = chunk.uncompressed_size().unsigned_abs();
    let stored = chunk.compressed_size().unsigned_abs();
    // A page as it is read, the page decoded, and its dictionary. Views keep a second page alive.
    let page = plain.min(PAGE_BYTES);
    let dictionary = if chunk.dictionary_page_offset().is_some() { page } else { 0 };
    let (fixed, text, pages) = match chunk.column_type() {
        Type::BOOLEAN => (1, 0, 1),
        Type::INT32 | Type::FLOAT => (4, 0, 1),
        Type::INT64 | Type::DOUBLE | Type::INT96 => (8, 0, 1),
        Type::FIXED_LEN_BYTE_ARRAY => (chunk.column_descr().type_length().unsigned_abs(), 0, 1),
        Type::BYTE_ARRAY => {
            let bytes = chunk.unencoded_byte_array_data_bytes().map(i64::unsigned_abs);
            (VIEW_BYTES as u32, bytes.unwrap_or(plain).div_ceil(rows), 2)
        }
    };
    Column {
        decoder_bytes: page * pages + stored.min(PAGE_BYTES) + dictionary,
        stored_row_bytes: plain / rows,
        fixed_row_bytes: u64::from(fixed),
        text_row_bytes: text,
    }
}

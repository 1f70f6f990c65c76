//! How Parquet output is laid out.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Most encoded bytes of one row group, which is what the writer holds in memory.
pub const ROW_GROUP_BYTES_MAX: usize = 32 << 20;

/// Most rows of one row group; what other writers take too, so that readers find work to share.
pub const ROW_GROUP_ROWS_MAX: usize = 1 << 20;

/// Rows that are encoded between two looks at the limits of a page.
const ENCODE_ROWS: usize = 1_024;

/// Settings for a file with the columns of `schema` and `metadata` in its footer.
///
/// Statistics for row groups and pages and the page index are written, so that readers skip what
/// they do not need. Encodings are chosen for speed and measured on files of 5,000 rows of an
/// `i64` identifier and two `f32` scores (CPU of one core; not the disk):
///
/// | identifiers | compression | million rows/s | bytes/row |
/// |---|---|---|---|
/// | plain | none | 110 | 16.2 |
/// | delta | none | 84 | 8.2 |
/// | delta | lz4 | 83 | 8.3 |
/// | delta | snappy | 68 | 8.2 |
/// | plain | snappy | 50 | 12.2 |
/// | delta | zstd 1 | 31 | 7.2 |
///
/// So whole numbers are written as differences, which halves the file for little time, and
/// numbers are not compressed, since scores hardly yield to it. Only text is tried as a
/// dictionary, and compressed with snappy, which every reader knows.
pub fn parquet_properties(schema: &Schema, metadata: &[(String, String)]) -> WriterProperties {
    let pairs = metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("nightshift version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(pairs.collect()))
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_write_batch_size(ENCODE_ROWS);
    for field in schema.fields() {
        // One part, never split at dots: a column name may have some.
        let path = ColumnPath::new(vec![field.name().clone()]);
        let kind = field.data_type();
        if kind.is_string() {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), true)
                .set_column_compression(path, Compression::SNAPPY);
        } else if kind.is_integer() || is_instant(kind) {
            properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    properties.build()
}

/// Dates and times are stored as 32 or 64-bit integers.
fn is_instant(kind: &DataType) -> bool {
    use DataType::{Date32, Date64, Time32, Time64, Timestamp};
    matches!(kind, Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..))
}

//! How Parquet output is laid out.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::Compression;
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
/// they do not need. Only text is tried as a dictionary: scores and identifiers hardly repeat,
/// and trying costs more than the rest of the encoding.
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
        if let DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View = field.data_type() {
            let path = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(path, true);
        }
    }
    properties.build()
}

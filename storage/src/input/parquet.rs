//! Parquet footers, read with limits from any bytes.

use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::object::{InputObject, ObjectStream};
use super::{InputError, inspect::plain_type};

mod nesting;

/// Largest footer that is read. A footer of 10,000 columns × 100 row groups has about this size;
/// a length field that claims more is damage.
pub const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// Magic bytes at both ends of a Parquet file, and the footer's length before the last ones.
const SHORTEST_BYTES: u64 = 12;

/// Bytes read ahead where a page header is expected; few are larger.
const PAGE_HEADER_BYTES: usize = 512;

/// Lets the `parquet` crate read an [`InputObject`]: positioned reads, never past its end.
#[derive(Debug, Clone)]
pub struct ObjectChunks(pub Arc<InputObject>);

impl Length for ObjectChunks {
    fn len(&self) -> u64 {
        self.0.size_bytes()
    }
}

impl ChunkReader for ObjectChunks {
    type T = BufReader<ObjectStream>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::with_capacity(PAGE_HEADER_BYTES, self.0.stream(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.0.read_range(start, length)?.into())
    }
}

/// Reads the footer, and with `page_index` where the pages begin (nothing if the file or its
/// writer has no such index, or a damaged one).
///
/// # Errors
/// [`InputError::Empty`], [`InputError::NotParquet`] and [`InputError::Footer`] for what is
/// wrong with the file, [`InputError::Io`] for the device.
pub fn read_footer(
    object: &Arc<InputObject>,
    page_index: bool,
) -> Result<ParquetMetaData, InputError> {
    let uri = || object.uri().to_owned();
    let size = object.size_bytes();
    let broken = |reason: String| InputError::NotParquet { uri: uri(), reason };
    if size == 0 {
        return Err(InputError::Empty {
            uri: uri(),
            needs: "a Parquet file has at least a footer",
        });
    }
    if size < SHORTEST_BYTES {
        return Err(broken(format!("{size} bytes are too few")));
    }
    let chunks = ObjectChunks(Arc::clone(object));
    let failed = |source: ParquetError| match object.take_failure() {
        Some(failure) => failure,
        None => InputError::Footer { uri: uri(), source: Box::new(source) },
    };
    let tail = chunks.get_bytes(size - 8, 8).map_err(failed)?;
    let (length, magic) = tail.split_at_checked(4).unwrap_or_default();
    if magic != b"PAR1" {
        return Err(broken(match magic {
            b"PARE" => "its footer is encrypted, which is not supported".to_owned(),
            _ => "it does not end with PAR1, so it was cut short or is another format".to_owned(),
        }));
    }
    let length = length.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    if length > FOOTER_BYTES_MAX || length + SHORTEST_BYTES > size {
        return Err(broken(format!("its footer claims {length} bytes of a file of {size}")));
    }
    let footer = chunks.get_bytes(size - 8 - length, length as usize).map_err(failed)?;
    if !nesting::is_shallow(&footer) {
        return Err(broken(format!(
            "its schema is nested deeper than {} levels",
            nesting::DEPTH_MAX
        )));
    }
    drop(footer);
    // The decoder is not proof against every byte string; a panic in it is a damaged file.
    let parse = |policy| {
        let reader = ParquetMetaDataReader::new().with_offset_index_policy(policy);
        catch_unwind(AssertUnwindSafe(|| reader.parse_and_finish(&chunks)))
            .map_err(|_| broken("its footer makes the decoder fail".to_owned()))
    };
    let metadata = match parse(PageIndexPolicy::Skip)? {
        Ok(metadata) => metadata,
        Err(error) => return Err(failed(error)),
    };
    check_rows(&metadata).map_err(broken)?;
    if page_index && let Ok(Ok(indexed)) = parse(PageIndexPolicy::Optional) {
        return Ok(indexed);
    }
    Ok(metadata)
}

/// The sum of the row groups is what the footer says, and nothing is negative.
fn check_rows(metadata: &ParquetMetaData) -> Result<(), String> {
    let total = metadata.file_metadata().num_rows();
    let groups = metadata.row_groups().iter();
    let sum = groups
        .map(|group| group.num_rows())
        .try_fold(0_i64, |sum, rows| if rows < 0 { None } else { sum.checked_add(rows) });
    match sum {
        Some(sum) if sum == total => Ok(()),
        _ => Err(format!("its row groups do not add up to the {total} rows of the footer")),
    }
}

/// The columns as Arrow types, as stored (not yet made plain).
///
/// # Errors
/// [`InputError::Footer`] if a column has a type that cannot be read.
pub fn arrow_schema(uri: &str, metadata: &ParquetMetaData) -> Result<Schema, InputError> {
    let file = metadata.file_metadata();
    let convert = |hints| parquet_to_arrow_schema(file.schema_descr(), hints);
    // An Arrow schema beside the data is a hint; the data can be read without it.
    let converted = catch_unwind(AssertUnwindSafe(|| {
        convert(file.key_value_metadata()).or_else(|_| convert(None))
    }));
    match converted {
        Ok(Ok(schema)) => Ok(schema),
        Ok(Err(source)) => {
            Err(InputError::Footer { uri: uri.to_owned(), source: Box::new(source) })
        }
        Err(_) => Err(InputError::NotParquet {
            uri: uri.to_owned(),
            reason: "its schema makes the decoder fail".to_owned(),
        }),
    }
}

/// The columns with the types in which rows are handed on.
pub(super) fn plain_schema(uri: &str, metadata: &ParquetMetaData) -> Result<Schema, InputError> {
    let schema = arrow_schema(uri, metadata)?;
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), plain_type(field.data_type()), field.is_nullable()));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

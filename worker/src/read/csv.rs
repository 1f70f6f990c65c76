//! CSV: records from a mark or the start, fields picked by the header.

use std::sync::Arc;

use nightshift_core::plan::{ColumnKind, InputFile, Slice};
use nightshift_storage::input::scan::{CsvRows, Plain, RECORD_BYTES_MAX, Row, decompress};
use nightshift_storage::input::{InputError, InputObject};

use super::columns::{Sinks, parsed_kind, parsed_type};
use super::convert::{Conversion, Origin};
use super::cursor::Rows;
use super::files::OpenFile;
use super::{ColumnRequest, ReadError};

/// Rows for which a batch has room from the start; it grows to its own size.
const ROWS_AT_FIRST: usize = 8_192;

/// What the header of a CSV file says about the requested columns.
#[derive(Debug)]
pub(super) struct CsvLayout {
    /// Fields of a record.
    width: usize,
    /// Where the requested columns of the file are in a record, in the requested order.
    positions: Vec<usize>,
    columns: Vec<(Arc<str>, ColumnKind)>,
    conversion: Conversion,
}

impl CsvLayout {
    pub(super) fn read(
        input: &InputFile,
        object: &Arc<InputObject>,
        columns: &[ColumnRequest],
    ) -> Result<Self, ReadError> {
        let damaged = |source| damage(input, object, 0, source);
        let plain = decompress(object.stream(0), input.compression).map_err(damaged)?;
        let mut records = CsvRows::new(plain, 0);
        let refuse = |reason: &str| {
            let (uri, reason) = (input.uri.clone(), reason.to_owned());
            ReadError::from_input(&input.uri, &input.pin, InputError::Header { uri, reason })
        };
        let header = match records.next_row().map_err(damaged)? {
            Some(Row::Row(header)) => header,
            Some(Row::TooLong) => return Err(refuse("is too long")),
            None => return Err(refuse("is missing")),
        };
        let names: Vec<&[u8]> = header.iter().collect();
        let mut layout = Self {
            width: names.len(),
            positions: Vec::new(),
            columns: Vec::new(),
            conversion: Conversion::new(input, &[], false, |_| None)?,
        };
        for column in columns {
            if let Some(position) = names.iter().position(|name| *name == column.name.as_bytes()) {
                layout.positions.push(position);
                layout.columns.push((Arc::from(column.name.as_str()), parsed_kind(input, column)));
            }
        }
        let known = &layout.columns;
        layout.conversion = Conversion::new(input, columns, false, |name| find(known, name))?;
        Ok(layout)
    }
}

/// Position and type of the column `name` among parsed columns.
pub(super) fn find(
    columns: &[(Arc<str>, ColumnKind)],
    name: &str,
) -> Option<(usize, arrow::datatypes::DataType)> {
    let position = columns.iter().position(|(known, _)| **known == *name)?;
    columns.get(position).map(|(_, kind)| (position, parsed_type(*kind)))
}

/// A CSV file being read.
pub(super) struct CsvCursor {
    records: CsvRows<Plain>,
}

impl CsvCursor {
    /// Starts at the mark of `slice`, or at the first row; also tells which row that is.
    pub(super) fn start(file: &OpenFile, slice: &Slice) -> Result<(Self, u64), ReadError> {
        let (input, object) = (&file.input, &file.object);
        let damaged = |source| damage(input, object, 0, source);
        let mark = slice.seek.filter(|mark| input.compression.is_none() && mark.row <= slice.start);
        let start = mark.map_or(0, |mark| mark.byte);
        let plain = decompress(object.stream(start), input.compression).map_err(damaged)?;
        let mut records = CsvRows::new(plain, start);
        if start == 0 {
            records.next_row().map_err(damaged)?;
        }
        Ok((Self { records }, mark.map_or(0, |mark| mark.row)))
    }

    pub(super) fn skip(
        &mut self,
        file: &OpenFile,
        position: u64,
        rows: u64,
    ) -> Result<u64, ReadError> {
        for skipped in 0..rows {
            let row = self.records.next_row();
            if row.map_err(|source| damage(&file.input, &file.object, position, source))?.is_none()
            {
                return Ok(skipped);
            }
        }
        Ok(rows)
    }

    pub(super) fn read(
        &mut self,
        file: &OpenFile,
        layout: &CsvLayout,
        position: u64,
        rows: usize,
        columns: &[ColumnRequest],
    ) -> Result<Rows, ReadError> {
        let mut sinks = Sinks::new(&layout.columns, rows.min(ROWS_AT_FIRST));
        while sinks.rows() < rows && !sinks.is_full() {
            let row = self.records.next_row();
            let row = row.map_err(|source| {
                damage(&file.input, &file.object, position + sinks.rows() as u64, source)
            })?;
            match row {
                None => break,
                Some(Row::TooLong) => sinks.push_malformed(&too_long()),
                Some(Row::Row(record)) if record.len() != layout.width => {
                    let (found, wanted) = (record.len(), layout.width);
                    sinks.push_malformed(&format!("{found} fields where the header has {wanted}"));
                }
                Some(Row::Row(record)) => {
                    let fields = layout.positions.iter();
                    sinks.push_fields(fields.map(|&field| record.get(field).unwrap_or_default()));
                }
            }
        }
        let rows = sinks.rows();
        let (arrays, rejects) = sinks.finish();
        layout.conversion.apply(&Origin { input: &file.input, columns }, &arrays, rows, rejects)
    }
}

pub(super) fn too_long() -> String {
    format!("the row is longer than {RECORD_BYTES_MAX} bytes; is a quote or a line break missing?")
}

/// A failure to get at the plain bytes: the device's, or damaged compression.
pub(super) fn damage(
    input: &InputFile,
    object: &InputObject,
    row: u64,
    source: std::io::Error,
) -> ReadError {
    match object.take_failure() {
        Some(failure) => ReadError::from_input(&input.uri, &input.pin, failure),
        None => ReadError::Corrupt { uri: input.uri.clone(), row, source: Box::new(source) },
    }
}

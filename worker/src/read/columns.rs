//! Columns of text formats while they are being filled, value by value.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::DataType;
use nightshift_core::plan::{ColumnKind, InputFile};
use nightshift_storage::input::{parse_bool, parse_float, parse_int};

use super::ColumnRequest;
use super::sizing::BATCH_BYTES;
use crate::reject::{RejectReason, RowReject};

/// Characters of a bad value that a reject shows.
const SHOWN_CHARS: usize = 80;

/// One value of a row, not yet of its column's type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    /// A JSON array or object.
    Nested,
}

/// The type in which the values of `column` are parsed: the wanted one, or as close as text
/// formats come; the planned one if any type will do.
///
/// The wanted type goes first because planning looks at the first rows only: a column of whole
/// numbers there may hold fractions later, which a reader of floats must not lose.
pub(super) fn parsed_kind(input: &InputFile, column: &ColumnRequest) -> ColumnKind {
    match &column.as_type {
        Some(DataType::Boolean) => ColumnKind::Bool,
        Some(wanted) if wanted.is_integer() => ColumnKind::Int,
        Some(wanted) if wanted.is_floating() => ColumnKind::Float,
        Some(_) => ColumnKind::Text,
        None => {
            let planned = input.columns.iter().find(|planned| planned.name == column.name);
            planned.map_or(ColumnKind::Text, |planned| planned.kind)
        }
    }
}

/// The Arrow type of the arrays that a sink of `kind` gives.
pub(super) fn parsed_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Bool => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8,
    }
}

/// The columns of the batch that is being read, and the rows that went wrong.
pub(super) struct Sinks {
    sinks: Vec<Sink>,
    rejects: Vec<RowReject>,
    rows: usize,
    text_bytes: usize,
}

struct Sink {
    name: Arc<str>,
    builder: Builder,
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
}

impl Sinks {
    /// Sinks for columns of these names and kinds, with room for `rows` rows.
    pub(super) fn new(columns: &[(Arc<str>, ColumnKind)], rows: usize) -> Self {
        let sinks = columns.iter().map(|(name, kind)| Sink {
            name: Arc::clone(name),
            builder: match kind {
                ColumnKind::Int => Builder::Int(Int64Builder::with_capacity(rows)),
                ColumnKind::Float => Builder::Float(Float64Builder::with_capacity(rows)),
                ColumnKind::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
                ColumnKind::Text => Builder::Text(StringBuilder::with_capacity(rows, 0)),
            },
        });
        Self { sinks: sinks.collect(), rejects: Vec::new(), rows: 0, text_bytes: 0 }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the batch has grown to its size in bytes.
    pub(super) fn is_full(&self) -> bool {
        self.text_bytes >= BATCH_BYTES
    }

    /// Ends a row that is not a row: null in every column.
    pub(super) fn push_malformed(&mut self, detail: &str) {
        for sink in &mut self.sinks {
            sink.builder.push_null();
        }
        self.rejects.push(RowReject::new(self.rows, RejectReason::MalformedRow, None, detail));
        self.rows += 1;
    }

    /// Ends a row of CSV fields, one for each column. An empty field is null. Text must be UTF-8;
    /// numbers and booleans may have white space around them.
    pub(super) fn push_fields<'a>(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        for (sink, field) in self.sinks.iter_mut().zip(fields) {
            let pushed = match std::str::from_utf8(field) {
                Ok(text) => {
                    self.text_bytes += text.len();
                    sink.builder.push_text(text)
                }
                Err(_) => Err("bytes that are not UTF-8"),
            };
            if let Err(problem) = pushed {
                sink.builder.push_null();
                let value = String::from_utf8_lossy(field.get(..SHOWN_CHARS).unwrap_or(field));
                let detail = bad_value(&value, problem);
                self.rejects.push(sink.reject(self.rows, &detail));
            }
        }
        self.rows += 1;
    }

    /// Ends a row of JSON values, one for each column.
    pub(super) fn push_cells(&mut self, cells: &[Cell<'_>]) {
        for (sink, cell) in self.sinks.iter_mut().zip(cells) {
            if let Cell::Text(text) = cell {
                self.text_bytes += text.len();
            }
            if let Err(problem) = sink.builder.push_cell(cell) {
                sink.builder.push_null();
                let detail = match cell {
                    Cell::Text(text) => bad_value(text, problem),
                    Cell::Nested => "an array or object; give a plain value".to_owned(),
                    Cell::Null => problem.to_owned(),
                    Cell::Bool(value) => bad_value(&value.to_string(), problem),
                    Cell::Int(value) => bad_value(&value.to_string(), problem),
                    Cell::Unsigned(value) => bad_value(&value.to_string(), problem),
                    Cell::Float(value) => bad_value(&value.to_string(), problem),
                };
                self.rejects.push(sink.reject(self.rows, &detail));
            }
        }
        self.rows += 1;
    }

    /// The finished columns, and the rejects in row order.
    pub(super) fn finish(self) -> (Vec<ArrayRef>, Vec<RowReject>) {
        let arrays = self.sinks.into_iter().map(|sink| -> ArrayRef {
            match sink.builder {
                Builder::Int(mut builder) => Arc::new(builder.finish()),
                Builder::Float(mut builder) => Arc::new(builder.finish()),
                Builder::Bool(mut builder) => Arc::new(builder.finish()),
                Builder::Text(mut builder) => Arc::new(builder.finish()),
            }
        });
        (arrays.collect(), self.rejects)
    }
}

impl Sink {
    fn reject(&self, row: usize, detail: &str) -> RowReject {
        RowReject::new(row, RejectReason::BadValue, Some(Arc::clone(&self.name)), detail)
    }
}

fn bad_value(value: &str, problem: &str) -> String {
    let shown: String = value.chars().take(SHOWN_CHARS).collect();
    format!("`{shown}` is {problem}")
}

const NOT_INT: &str = "not a 64-bit integer";
const NOT_FLOAT: &str = "not a number";
const NOT_BOOL: &str = "not true or false";
const NOT_TEXT: &str = "not text";

impl Builder {
    fn push_null(&mut self) {
        match self {
            Self::Int(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
        }
    }

    /// Appends the value that `text` stands for, or nothing and says what is wrong.
    fn push_text(&mut self, text: &str) -> Result<(), &'static str> {
        if let Self::Text(builder) = self {
            builder.append_option(Some(text).filter(|text| !text.is_empty()));
            return Ok(());
        }
        let text = text.trim();
        if text.is_empty() {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Int(builder) => builder.append_value(parse_int(text).ok_or(NOT_INT)?),
            Self::Float(builder) => builder.append_value(parse_float(text).ok_or(NOT_FLOAT)?),
            Self::Bool(builder) => builder.append_value(parse_bool(text).ok_or(NOT_BOOL)?),
            Self::Text(_) => {}
        }
        Ok(())
    }

    /// Appends `cell` if it is of the column's type without loss, or nothing and says what is
    /// wrong. A string that spells a number is a number, a whole float is an integer, and a
    /// number or boolean in a text column is its spelling.
    fn push_cell(&mut self, cell: &Cell<'_>) -> Result<(), &'static str> {
        /// Below it every whole `f64` is exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match (self, cell) {
            (builder, Cell::Null) => builder.push_null(),
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (builder, Cell::Text(text)) => return builder.push_text(text),
            (Self::Int(builder), Cell::Int(value)) => builder.append_value(*value),
            (Self::Int(builder), Cell::Float(value))
                if value.fract() == 0.0 && value.abs() < EXACT =>
            {
                builder.append_value(*value as i64);
            }
            (Self::Float(builder), Cell::Int(value)) => builder.append_value(*value as f64),
            (Self::Float(builder), Cell::Unsigned(value)) => builder.append_value(*value as f64),
            (Self::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(*value),
            (Self::Text(builder), Cell::Int(value)) => builder.append_value(value.to_string()),
            (Self::Text(builder), Cell::Unsigned(value)) => builder.append_value(value.to_string()),
            (Self::Text(builder), Cell::Float(value)) => builder.append_value(value.to_string()),
            (Self::Text(builder), Cell::Bool(value)) => builder.append_value(value.to_string()),
            (Self::Int(_), _) => return Err(NOT_INT),
            (Self::Float(_), _) => return Err(NOT_FLOAT),
            (Self::Bool(_), _) => return Err(NOT_BOOL),
            (Self::Text(_), _) => return Err(NOT_TEXT),
        }
        Ok(())
    }
}

//! JSON lines: only the requested keys of each object are kept.
//!
//! A key that comes twice counts with its last value, as in most parsers. A key that is not
//! there is null. Values of other keys are passed over without being built.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use nightshift_core::plan::{ColumnKind, InputFile, Slice};
use nightshift_storage::input::scan::{LineRows, Plain, Row, decompress};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::columns::{Cell, Sinks, parsed_kind};
use super::convert::{Conversion, Origin};
use super::csv::{damage, find, too_long};
use super::cursor::Rows;
use super::files::OpenFile;
use super::{ColumnRequest, ReadError};

/// Rows for which a batch has room from the start; it grows to its own size.
const ROWS_AT_FIRST: usize = 8_192;

/// The requested columns of a JSON lines file.
#[derive(Debug)]
pub(super) struct JsonlLayout {
    columns: Vec<(Arc<str>, ColumnKind)>,
    /// Whether an array or object of each is taken as its text.
    json: Vec<bool>,
    conversion: Conversion,
}

impl JsonlLayout {
    pub(super) fn new(input: &InputFile, columns: &[ColumnRequest]) -> Result<Self, ReadError> {
        let in_path = |name: &str| input.partition_columns.iter().any(|column| column.name == name);
        let in_file: Vec<&ColumnRequest> =
            columns.iter().filter(|column| !in_path(&column.name)).collect();
        let json = in_file.iter().map(|column| column.json).collect();
        let known: Vec<_> = in_file
            .into_iter()
            .map(|column| (Arc::from(column.name.as_str()), parsed_kind(input, column)))
            .collect();
        let conversion = Conversion::new(input, columns, false, |name| find(&known, name))?;
        Ok(Self { columns: known, json, conversion })
    }
}

/// A JSON lines file being read.
pub(super) struct JsonlCursor {
    lines: LineRows<Plain>,
}

impl JsonlCursor {
    /// Starts at the mark of `slice`, or at the first row; also tells which row that is.
    pub(super) fn start(file: &OpenFile, slice: &Slice) -> Result<(Self, u64), ReadError> {
        let (input, object) = (&file.input, &file.object);
        let mark = slice.seek.filter(|mark| input.compression.is_none() && mark.row <= slice.start);
        let start = mark.map_or(0, |mark| mark.byte);
        let plain = decompress(object.stream(start), input.compression);
        let plain = plain.map_err(|source| damage(input, object, 0, source))?;
        Ok((Self { lines: LineRows::new(plain, start) }, mark.map_or(0, |mark| mark.row)))
    }

    pub(super) fn skip(
        &mut self,
        file: &OpenFile,
        position: u64,
        rows: u64,
    ) -> Result<u64, ReadError> {
        for skipped in 0..rows {
            let row = self.lines.next_row();
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
        layout: &JsonlLayout,
        position: u64,
        rows: usize,
        columns: &[ColumnRequest],
    ) -> Result<Rows, ReadError> {
        let mut sinks = Sinks::new(&layout.columns, rows.min(ROWS_AT_FIRST));
        while sinks.rows() < rows && !sinks.is_full() {
            let row = self.lines.next_row();
            let row = row.map_err(|source| {
                damage(&file.input, &file.object, position + sinks.rows() as u64, source)
            })?;
            match row {
                None => break,
                Some(Row::TooLong) => sinks.push_malformed(&too_long()),
                Some(Row::Row(line)) => match parse(line, layout) {
                    Ok(cells) => sinks.push_cells(&cells),
                    Err(error) => sinks.push_malformed(&error.to_string()),
                },
            }
        }
        let rows = sinks.rows();
        let (arrays, rejects) = sinks.finish();
        layout.conversion.apply(&Origin { input: &file.input, columns }, &arrays, rows, rejects)
    }
}

/// The values of the columns of `layout` in one line.
fn parse<'a>(line: &'a [u8], layout: &JsonlLayout) -> Result<Vec<Cell<'a>>, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(line);
    let cells = parser.deserialize_map(RowVisitor { layout })?;
    parser.end()?;
    Ok(cells)
}

struct RowVisitor<'c> {
    layout: &'c JsonlLayout,
}

impl<'de> Visitor<'de> for RowVisitor<'_> {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let JsonlLayout { columns, json, .. } = self.layout;
        let mut cells = vec![Cell::Null; columns.len()];
        while let Some(position) = map.next_key_seed(KeySeed { columns })? {
            let cell = position.and_then(|at| cells.get_mut(at).zip(json.get(at)));
            match cell {
                Some((cell, true)) => *cell = with_json(map.next_value()?),
                Some((cell, false)) => *cell = map.next_value_seed(CellSeed)?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(cells)
    }
}

/// A key, as the position of its column.
struct KeySeed<'c> {
    columns: &'c [(Arc<str>, ColumnKind)],
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.columns.iter().position(|(name, _)| **name == *key))
    }
}

/// A value, of which an array or object is its text.
fn with_json(value: Value) -> Cell<'static> {
    match value {
        Value::Null => Cell::Null,
        Value::String(text) => Cell::Text(Cow::Owned(text)),
        other => Cell::Text(Cow::Owned(other.to_string())),
    }
}

struct CellSeed;

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = Cell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cell::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Cell::Unsigned(value), Cell::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Cell::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cell::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Nested)
    }
}

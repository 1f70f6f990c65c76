//! The file of rejected rows: one JSON object a row.

use std::io::{BufWriter, Write};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::{BUFFER_BYTES, Fault, Sink, WriteError, unbuffer};
use crate::reject::RowReject;

/// Writes rejected rows as JSON lines:
/// `{"input":…,"row":n,"id":{column:value,…},"reason":…,"column":…,"detail":…}`.
pub struct RejectsWriter<W: Write> {
    sink: BufWriter<Sink<W>>,
    fault: Fault,
    rows: u64,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    /// The input file.
    input: &'a str,
    /// Position in that file, from 0.
    row: u64,
    id: Id<'a>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    detail: &'a str,
}

impl<W: Write> RejectsWriter<W> {
    /// Begins a file of rejects.
    pub fn create(sink: W) -> Self {
        let fault = Fault::default();
        let sink = Sink { inner: sink, fault: fault.clone() };
        Self { sink: BufWriter::with_capacity(BUFFER_BYTES, sink), fault, rows: 0 }
    }

    /// Appends `rejects`, rows of `batch`, whose first row is row `first_row` of the input file
    /// `uri`. `id` are the positions in `batch` of the columns that identify a row; where the row
    /// could not be read at all they are null.
    ///
    /// # Errors
    /// [`WriteError::Io`] if the sink fails.
    pub fn write(
        &mut self,
        uri: &str,
        first_row: u64,
        batch: &RecordBatch,
        id: &[usize],
        rejects: &[RowReject],
    ) -> Result<(), WriteError> {
        for reject in rejects {
            let line = Line {
                input: uri,
                row: first_row + reject.row as u64,
                id: Id { batch, columns: id, row: reject.row },
                reason: reject.reason.as_str(),
                column: reject.column.as_deref(),
                detail: &reject.detail,
            };
            let written =
                serde_json::to_writer(&mut self.sink, &line).map_err(std::io::Error::from);
            let written = written.and_then(|()| self.sink.write_all(b"\n"));
            written.map_err(|told| WriteError::Io { source: self.fault.take().unwrap_or(told) })?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the file; gives the sink back, with every byte handed to it, and the number of rows.
    ///
    /// # Errors
    /// [`WriteError::Io`] if the sink fails.
    pub fn finish(self) -> Result<(W, u64), WriteError> {
        Ok((unbuffer(self.sink)?.inner, self.rows))
    }
}

/// The values that identify one row.
struct Id<'a> {
    batch: &'a RecordBatch,
    columns: &'a [usize],
    row: usize,
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.columns.len()))?;
        let schema = self.batch.schema_ref();
        for &column in self.columns {
            let (Some(field), Some(array)) =
                (schema.fields().get(column), self.batch.columns().get(column))
            else {
                continue;
            };
            map.serialize_entry(field.name(), &Value { array, row: self.row })?;
        }
        map.end()
    }
}

/// One value: numbers and booleans as such, all else as Arrow spells it (dates are ISO 8601).
struct Value<'a> {
    array: &'a dyn Array,
    row: usize,
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.row >= self.array.len() || self.array.is_null(self.row) {
            return to.serialize_none();
        }
        match self.array.data_type() {
            DataType::Boolean => to.serialize_bool(self.array.as_boolean().value(self.row)),
            DataType::Int8 => to.serialize_i8(self.number::<Int8Type>()),
            DataType::Int16 => to.serialize_i16(self.number::<Int16Type>()),
            DataType::Int32 => to.serialize_i32(self.number::<Int32Type>()),
            DataType::Int64 => to.serialize_i64(self.number::<Int64Type>()),
            DataType::UInt8 => to.serialize_u8(self.number::<UInt8Type>()),
            DataType::UInt16 => to.serialize_u16(self.number::<UInt16Type>()),
            DataType::UInt32 => to.serialize_u32(self.number::<UInt32Type>()),
            DataType::UInt64 => to.serialize_u64(self.number::<UInt64Type>()),
            DataType::Float16 => to.serialize_f32(self.number::<Float16Type>().to_f32()),
            DataType::Float32 => to.serialize_f32(self.number::<Float32Type>()),
            DataType::Float64 => to.serialize_f64(self.number::<Float64Type>()),
            DataType::Utf8 => to.serialize_str(self.array.as_string::<i32>().value(self.row)),
            _ => {
                let text = array_value_to_string(self.array, self.row).map_err(S::Error::custom)?;
                to.serialize_str(&text)
            }
        }
    }
}

impl Value<'_> {
    fn number<T: ArrowPrimitiveType>(&self) -> T::Native {
        self.array.as_primitive::<T>().value(self.row)
    }
}

//! Columns of text: whether they are, and their texts.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};

use crate::engine::tabular::clip;
use crate::engine::{EngineColumn, EngineError};

/// Whether each of `columns` is there and holds text, or what is text in a text format.
pub(super) fn check(columns: &[EngineColumn], schema: &Schema) -> Result<(), EngineError> {
    for EngineColumn { name: column, .. } in columns {
        let Ok(field) = schema.field_with_name(column) else {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let available = clip(&names.collect::<Vec<_>>().join(", "));
            return Err(EngineError::MissingColumn { column: column.to_string(), available });
        };
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            kind => kind,
        };
        let is_text = match plain {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
            // A CSV column of numbers is text that looks like numbers.
            kind => kind.is_integer() || *kind == DataType::Boolean,
        };
        if !is_text {
            return Err(EngineError::WrongType {
                column: column.to_string(),
                found: field.data_type().to_string(),
                wanted: "text",
            });
        }
    }
    Ok(())
}

/// The texts of each of `columns`, as arrays of long text.
pub(super) fn texts(
    columns: &[EngineColumn],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, EngineError> {
    check(columns, batch.schema_ref())?;
    let kernel = |column: &str, source| EngineError::Kernel { column: column.to_owned(), source };
    let texts = columns.iter().map(|EngineColumn { name, .. }| {
        let position = batch.schema_ref().index_of(name).map_err(|e| kernel(name, e))?;
        cast(batch.column(position), &DataType::LargeUtf8).map_err(|e| kernel(name, e))
    });
    texts.collect()
}

//! What the features ask of Arrow arrays.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

use crate::engine::ColumnRole;
use crate::engine::tabular::block::low_bits;

/// Whether a column of type `found` can play `role`.
pub(in crate::engine) fn accepts(role: ColumnRole, found: &DataType) -> bool {
    use DataType::{Date32, Date64, Dictionary, LargeUtf8, Null, Timestamp, Utf8, Utf8View};
    let scalar = |found: &DataType| match (role, found) {
        // A column in which every value is missing has this type in some writers.
        (_, Null | Utf8 | LargeUtf8 | Utf8View) => true,
        (ColumnRole::Number, found) => found.is_numeric() || *found == DataType::Boolean,
        (ColumnRole::Text | ColumnRole::Prose | ColumnRole::Json, found) => {
            found.is_integer() || *found == DataType::Boolean
        }
        (ColumnRole::Moment, found) => matches!(found, Date32 | Date64 | Timestamp(..)),
    };
    match found {
        Dictionary(_, values) => scalar(values),
        found => scalar(found),
    }
}

/// One bit for each row of `first..first + len` that has a value; `len` is at most 64.
pub(super) fn valid_bits(nulls: Option<&NullBuffer>, first: usize, len: usize) -> u64 {
    let Some(nulls) = nulls else { return low_bits(len) };
    let start = nulls.offset() + first;
    let bytes = nulls.buffer().as_slice().get(start / 8..).unwrap_or_default();
    // 64 bits that begin within a byte lie in nine bytes.
    let mut window = [0_u8; 16];
    window.iter_mut().zip(bytes.iter().take(9)).for_each(|(to, from)| *to = *from);
    (u128::from_le_bytes(window) >> (start % 8)) as u64 & low_bits(len)
}

/// The text at `row`, through a dictionary if there is one; none for null and for other types.
pub(in crate::engine) fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            if dictionary.values().is_empty() {
                return None;
            }
            // Rejects are few; the slice keeps this from normalising every key.
            let slice = array.slice(row, 1);
            let key = slice.as_any_dictionary_opt()?.normalized_keys().first().copied()?;
            text_at(dictionary.values(), key)
        }
        _ => None,
    }
}

/// Whether there is no value at `row`, be it that a dictionary's entry is null.
pub(in crate::engine) fn is_missing(array: &dyn Array, row: usize) -> bool {
    array.slice(row, 1).logical_nulls().is_some_and(|nulls| nulls.is_null(0))
}

/// The value at `row` for a message.
pub(in crate::engine) fn shown(array: &ArrayRef, row: usize) -> String {
    match text_at(array, row) {
        Some(text) => text.chars().take(crate::reject::DETAIL_MAX_CHARS).collect(),
        None => array_value_to_string(array, row).unwrap_or_default(),
    }
}

/// The strings of a text array, for the types where that is what it holds.
pub(super) fn for_each_text(array: &dyn Array, mut each: impl FnMut(Option<&str>)) -> bool {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(&mut each),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(&mut each),
        DataType::Utf8View => array.as_string_view().iter().for_each(&mut each),
        _ => return false,
    }
    true
}

//! Text that is JSON, which JSON lines hold as it is and not as a string.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};

/// How Arrow marks columns of JSON
/// (<https://arrow.apache.org/docs/format/CanonicalExtensions.html#json>).
const KEY: &str = "ARROW:extension:name";
const NAME: &str = "arrow.json";

/// A column of JSON text, never null.
pub fn json_field(name: &str) -> FieldRef {
    let marks = HashMap::from([(KEY.to_owned(), NAME.to_owned())]);
    Field::new(name, DataType::Utf8, false).with_metadata(marks).into()
}

/// Makes encoders of columns that [`json_field`] describes.
#[derive(Debug)]
pub(super) struct AsItIs;

struct Text<'a>(&'a StringArray);

impl EncoderFactory for AsItIs {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let is_json = field.metadata().get(KEY).is_some_and(|name| name == NAME);
        let texts = array.as_string_opt::<i32>().filter(|_| is_json);
        Ok(texts.map(|texts| NullableEncoder::new(Box::new(Text(texts)), array.nulls().cloned())))
    }
}

impl Encoder for Text<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let text = self.0.value(row);
        // The engine writes it on one line; whatever else came would end the row.
        out.extend(
            if text.is_empty() { "null" } else { text }.bytes().filter(|byte| *byte != b'\n'),
        );
    }
}

//! Fields of a protocol buffer, one after the other, without copies and without a schema.
//!
//! For files of models that may hold any bytes: nothing is allocated, whatever a length claims.
//! Groups, which no file of today has, are refused.

use thiserror::Error;

/// Why bytes are no protocol buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidWire {
    /// The bytes end within a field.
    #[error("the bytes end within a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Varint,
    /// A field of a kind that does not exist, or of number 0.
    #[error("a field has the tag {tag}, which there is not")]
    Tag {
        /// Number and kind.
        tag: u64,
    },
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number of variable length.
    Varint(u64),
    /// 8 bytes.
    Fixed64([u8; 8]),
    /// A message, a text, or packed numbers.
    Bytes(&'a [u8]),
    /// 4 bytes.
    Fixed32([u8; 4]),
}

/// A reader of fields; ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), InvalidWire> {
        let tag = varint(&mut self.rest)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(fixed(&mut self.rest)?),
            2 => {
                let length = varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| InvalidWire::Truncated)?;
                let (bytes, rest) =
                    self.rest.split_at_checked(length).ok_or(InvalidWire::Truncated)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(fixed(&mut self.rest)?),
            _ => return Err(InvalidWire::Tag { tag }),
        };
        if tag >> 3 == 0 { Err(InvalidWire::Tag { tag }) } else { Ok((tag >> 3, value)) }
    }
}

impl<'a> Iterator for Fields<'a> {
    /// The number of a field, and its value.
    type Item = Result<(u64, Value<'a>), InvalidWire>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes a number of variable length from the front of `bytes`.
///
/// # Errors
/// If it is cut off or has more than 64 bits.
pub fn varint(bytes: &mut &[u8]) -> Result<u64, InvalidWire> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if at == 9 && part > 1 {
            return Err(InvalidWire::Varint);
        }
        number |= part << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(at + 1..).unwrap_or_default();
            return Ok(number);
        }
    }
    Err(if bytes.len() < 10 { InvalidWire::Truncated } else { InvalidWire::Varint })
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], InvalidWire> {
    let (fixed, rest) = bytes.split_first_chunk().ok_or(InvalidWire::Truncated)?;
    *bytes = rest;
    Ok(*fixed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_every_kind_are_read() {
        let bytes =
            [8, 0x96, 1, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let fields: Result<Vec<_>, _> = Fields::of(&bytes).collect();
        let wanted = vec![
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"hi")),
            (3, Value::Fixed32([1, 2, 3, 4])),
            (4, Value::Fixed64([1, 2, 3, 4, 5, 6, 7, 8])),
        ];
        assert_eq!(fields.unwrap(), wanted);
    }

    #[test]
    fn what_is_cut_off_or_impossible_is_refused() {
        let first = |bytes: &[u8]| Fields::of(bytes).find_map(Result::err).unwrap();
        assert_eq!(first(&[8]), InvalidWire::Truncated);
        assert_eq!(first(&[8, 0x80]), InvalidWire::Truncated);
        assert_eq!(first(&[0x12, 5, 1]), InvalidWire::Truncated);
        assert_eq!(
            first(&[0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            InvalidWire::Truncated
        );
        assert_eq!(
            first(&[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
            InvalidWire::Varint
        );
        assert_eq!(first(&[0x0b]), InvalidWire::Tag { tag: 11 });
        assert_eq!(first(&[0, 0]), InvalidWire::Tag { tag: 0 });
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let fields = Fields::of(&bytes).count();
            prop_assert!(fields <= bytes.len());
        }
    }
}

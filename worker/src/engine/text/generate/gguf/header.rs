//! The header of a GGUF file, checked before any of it is used.
//!
//! The file may come from anywhere. Every count is held against what the rest of the file can
//! hold before memory is taken for it, every product of dimensions is checked, and the data of
//! each tensor lies within the file, where it should begin, and nobody else's.

use std::collections::HashMap;

use thiserror::Error;

use super::blocks::Kind;
use crate::engine::tabular::clip;

/// Most pairs of metadata.
const PAIRS_MAX: u64 = 4_096;
/// Most tensors: those of 80 layers with all that a layer may have.
const TENSORS_MAX: u64 = 4_096;
/// Most bytes of a name.
const NAME_BYTES_MAX: u64 = 256;
/// Most bytes of a text.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Most elements of a list: more than there are merges in any vocabulary.
const LIST_MAX: u64 = 1 << 21;
/// Most dimensions of a tensor.
const DIMENSIONS_MAX: u32 = 4;
/// Where data begins unless the file says otherwise: at a multiple of this.
const ALIGNMENT: u64 = 32;
/// The largest such multiple.
const ALIGNMENT_MAX: u64 = 1 << 16;

/// Why a GGUF file cannot be used.
#[derive(Debug, Error, PartialEq)]
pub enum GgufError {
    /// The file ends too early.
    #[error("the file ends within {what}: it is truncated or damaged, copy it again")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The header is longer than any header that is supported.
    #[error("the header has more than the {max} bytes that are supported: use another model")]
    HeaderTooLong {
        /// The limit.
        max: u64,
    },
    /// The file is another.
    #[error("the file does not begin with `GGUF`: it is of another kind or damaged")]
    Magic,
    /// A version that is not read.
    #[error("the file has version {found} of the format, and 2 and 3 are read: convert it again")]
    Version {
        /// What it says.
        found: u32,
    },
    /// A count is beyond any model's.
    #[error("the file claims {found} {what}, more than the {max} that are supported")]
    Count {
        /// Of what.
        what: &'static str,
        /// What it claims.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A text is not UTF-8.
    #[error("{what} is not UTF-8: the file is damaged, copy it again")]
    Utf8 {
        /// Which.
        what: &'static str,
    },
    /// A value has a type that there is not.
    #[error("`{key}` has type {found}, which is not one: the file is damaged, copy it again")]
    ValueType {
        /// The key.
        key: String,
        /// The type.
        found: u32,
    },
    /// Something is there twice.
    #[error("`{name}` is there twice: the file is damaged, copy it again")]
    Twice {
        /// Its name.
        name: String,
    },
    /// A tensor is stored in a way that is not read.
    #[error(
        "tensor `{tensor}` has type {found}: use F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K"
    )]
    TensorType {
        /// The tensor.
        tensor: String,
        /// The number of the type.
        found: u32,
    },
    /// The dimensions of a tensor are not possible.
    #[error("tensor `{tensor}` has impossible dimensions {found:?}: the file is damaged")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// What it claims.
        found: Vec<u64>,
    },
    /// The alignment is not possible.
    #[error("`general.alignment` is {found}, expected a power of 2 from 8 to {ALIGNMENT_MAX}")]
    Alignment {
        /// What it says.
        found: u64,
    },
    /// The data of a tensor is not where it can be.
    #[error(
        "tensor `{tensor}` has {size_bytes} bytes from {begin} of {data_bytes}: the file is truncated or damaged"
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// Where it begins, from the beginning of the data.
        begin: u64,
        /// Its bytes.
        size_bytes: u64,
        /// Bytes of data in the file.
        data_bytes: u64,
    },
    /// Two tensors share bytes.
    #[error("tensors `{first}` and `{second}` overlap: the file is damaged, copy it again")]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
    },
    /// Something that every model has is absent.
    #[error("the file has no `{key}`: convert the model again")]
    Missing {
        /// Its key.
        key: String,
    },
    /// A value is not what its key asks for.
    #[error("`{key}` is not {expected}: convert the model again")]
    Value {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The file is of a model that is not supported.
    #[error("`{key}` is `{found}`, and this engine supports {supported}: use another model")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// What it says, clipped.
        found: String,
        /// What it may say.
        supported: &'static str,
    },
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Whole(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Wholes(Vec<i64>),
    /// A list that nothing reads.
    Other,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// The slowest dimension first.
    pub(super) shape: Vec<usize>,
    /// Its first byte in the file.
    pub(super) begin: u64,
    pub(super) size_bytes: u64,
}

/// All that a file says before its data.
#[derive(Debug)]
pub(super) struct Header {
    pairs: HashMap<String, Value>,
    tensors: HashMap<String, Entry>,
}

impl Header {
    /// Reads and checks the header of a file of `size_bytes` bytes, which begins with `bytes`.
    /// Those may end within the header: then the error is [`GgufError::Truncated`].
    pub(super) fn parse(bytes: &[u8], size_bytes: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor { bytes, at: 0 };
        if cursor.take(4, "the first bytes")? != b"GGUF" {
            return Err(GgufError::Magic);
        }
        let version = cursor.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version { found: version });
        }
        let tensors = cursor.count("tensors", TENSORS_MAX, 24)?;
        // The pairs come after both counts, each of at least 13 bytes.
        let count = cursor.count("pairs of metadata", PAIRS_MAX, 13)?;
        let mut pairs = HashMap::new();
        for _ in 0..count {
            let key = cursor.text("a key", NAME_BYTES_MAX)?;
            let kind = cursor.u32("the type of a value")?;
            let value = cursor.value(&key, kind)?;
            if pairs.contains_key(&key) {
                return Err(GgufError::Twice { name: clip(&key) });
            }
            pairs.insert(key, value);
        }
        let mut header = Self { pairs, tensors: HashMap::new() };
        let alignment = header.optional_count("general.alignment")?;
        let alignment = alignment.map_or(ALIGNMENT, |found| found as u64);
        if !alignment.is_power_of_two() || !(8..=ALIGNMENT_MAX).contains(&alignment) {
            return Err(GgufError::Alignment { found: alignment });
        }
        let described: Vec<_> =
            (0..tensors).map(|_| cursor.tensor()).collect::<Result<_, GgufError>>()?;
        let data = (cursor.at as u64).next_multiple_of(alignment);
        let data_bytes = size_bytes.saturating_sub(data);
        header.place(described, data, data_bytes, alignment)?;
        Ok(header)
    }

    /// Gives each tensor its bytes, which no other has.
    fn place(
        &mut self,
        described: Vec<Tensor>,
        data: u64,
        data_bytes: u64,
        alignment: u64,
    ) -> Result<(), GgufError> {
        let mut ranges = Vec::new();
        for Tensor { name, kind, shape, size_bytes, begin } in described {
            let end = begin.checked_add(size_bytes).filter(|end| *end <= data_bytes);
            let Some(end) = end.filter(|_| begin.is_multiple_of(alignment)) else {
                let tensor = clip(&name);
                return Err(GgufError::Range { tensor, begin, size_bytes, data_bytes });
            };
            ranges.push((begin, end, name.clone()));
            let entry = Entry { kind, shape, begin: data + begin, size_bytes };
            if self.tensors.insert(name.clone(), entry).is_some() {
                return Err(GgufError::Twice { name: clip(&name) });
            }
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if let [(_, end, first), (begin, _, second)] = pair
                && end > begin
            {
                return Err(GgufError::Overlap { first: clip(first), second: clip(second) });
            }
        }
        Ok(())
    }

    /// A tensor, by its own name.
    pub(super) fn tensor(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// A value, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.pairs.get(key)
    }

    /// A text that must be there.
    pub(super) fn text(&self, key: &str) -> Result<&str, GgufError> {
        match self.get(key) {
            Some(Value::Text(text)) => Ok(text),
            Some(_) => Err(GgufError::Value { key: key.to_owned(), expected: "a text" }),
            None => Err(GgufError::Missing { key: key.to_owned() }),
        }
    }

    /// A whole number from 0 that need not be there.
    pub(super) fn optional_count(&self, key: &str) -> Result<Option<usize>, GgufError> {
        let wrong = || GgufError::Value { key: key.to_owned(), expected: "a whole number from 0" };
        match self.get(key) {
            Some(Value::Whole(number)) => usize::try_from(*number).map(Some).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
            None => Ok(None),
        }
    }

    /// A whole number from 0 that must be there.
    pub(super) fn count(&self, key: &str) -> Result<usize, GgufError> {
        self.optional_count(key)?.ok_or_else(|| GgufError::Missing { key: key.to_owned() })
    }
}

/// What the header says of a tensor.
struct Tensor {
    name: String,
    kind: Kind,
    shape: Vec<usize>,
    size_bytes: u64,
    begin: u64,
}

/// Reads one value after the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        let truncated = GgufError::Truncated { what };
        let Some(end) = usize::try_from(count).ok().and_then(|it| self.at.checked_add(it)) else {
            return Err(truncated);
        };
        let taken = self.bytes.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let taken = self.take(N as u64, what)?;
        taken.try_into().map_err(|_| GgufError::Truncated { what })
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A count of what takes at least `bytes_each` bytes, which the rest of the file has.
    fn count(&mut self, what: &'static str, max: u64, bytes_each: u64) -> Result<u64, GgufError> {
        let found = self.u64(what)?;
        if found > max {
            return Err(GgufError::Count { what, found, max });
        }
        let rest = (self.bytes.len() - self.at) as u64;
        match found.saturating_mul(bytes_each) <= rest {
            true => Ok(found),
            false => Err(GgufError::Truncated { what }),
        }
    }

    fn text(&mut self, what: &'static str, max: u64) -> Result<String, GgufError> {
        let length = self.count(what, max, 1)?;
        let bytes = self.take(length, what)?.to_vec();
        String::from_utf8(bytes).map_err(|_| GgufError::Utf8 { what })
    }

    /// A value of type `kind`.
    fn value(&mut self, key: &str, kind: u32) -> Result<Value, GgufError> {
        const WHAT: &str = "a value";
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Whole(self.whole(kind)?),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array(WHAT)?))),
            7 => Value::Bool(self.array::<1>(WHAT)? != [0]),
            8 => Value::Text(self.text("a text", TEXT_BYTES_MAX)?),
            9 => self.list(key)?,
            12 => Value::Float(f64::from_le_bytes(self.array(WHAT)?)),
            found => return Err(GgufError::ValueType { key: clip(key), found }),
        })
    }

    fn whole(&mut self, kind: u32) -> Result<i128, GgufError> {
        const WHAT: &str = "a number";
        Ok(match kind {
            0 => u8::from_le_bytes(self.array(WHAT)?).into(),
            1 => i8::from_le_bytes(self.array(WHAT)?).into(),
            2 => u16::from_le_bytes(self.array(WHAT)?).into(),
            3 => i16::from_le_bytes(self.array(WHAT)?).into(),
            4 => u32::from_le_bytes(self.array(WHAT)?).into(),
            5 => i32::from_le_bytes(self.array(WHAT)?).into(),
            10 => u64::from_le_bytes(self.array(WHAT)?).into(),
            _ => i64::from_le_bytes(self.array(WHAT)?).into(),
        })
    }

    fn list(&mut self, key: &str) -> Result<Value, GgufError> {
        const WHAT: &str = "elements of a list";
        let kind = self.u32("the type of a list")?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            // Lists of lists are none of a model's.
            found => return Err(GgufError::ValueType { key: clip(key), found }),
        };
        let count = self.count(WHAT, LIST_MAX, width)?;
        Ok(match kind {
            8 => {
                let texts = (0..count).map(|_| self.text("a text", TEXT_BYTES_MAX));
                Value::Texts(texts.collect::<Result<_, _>>()?)
            }
            0..=5 | 10 | 11 => {
                let numbers = (0..count).map(|_| self.whole(kind));
                // Of 64 bits without sign no list is read: the largest becomes the largest.
                let numbers = numbers.map(|it| Ok(i64::try_from(it?).unwrap_or(i64::MAX)));
                Value::Wholes(numbers.collect::<Result<_, GgufError>>()?)
            }
            _ => {
                self.take(count * width, WHAT)?;
                Value::Other
            }
        })
    }

    fn tensor(&mut self) -> Result<Tensor, GgufError> {
        let name = self.text("the name of a tensor", NAME_BYTES_MAX)?;
        let dimensions = self.u32("the dimensions of a tensor")?;
        if dimensions > DIMENSIONS_MAX {
            let (found, max) = (dimensions.into(), DIMENSIONS_MAX.into());
            return Err(GgufError::Count { what: "dimensions", found, max });
        }
        let found = (0..dimensions).map(|_| self.u64("the dimensions of a tensor"));
        let found: Vec<u64> = found.collect::<Result<_, _>>()?;
        let kind = self.u32("the type of a tensor")?;
        let begin = self.u64("the offset of a tensor")?;
        let Some(kind) = Kind::numbered(kind) else {
            return Err(GgufError::TensorType { tensor: clip(&name), found: kind });
        };
        let product = found.iter().try_fold(1_u64, |product, next| product.checked_mul(*next));
        let row = found.first().copied().unwrap_or(0);
        let size_bytes = product
            .filter(|product| *product > 0 && row.is_multiple_of(kind.numbers() as u64))
            .and_then(|product| (product / kind.numbers() as u64).checked_mul(kind.bytes() as u64));
        let Some(size_bytes) = size_bytes else {
            return Err(GgufError::Dimensions { tensor: clip(&name), found });
        };
        let shape = found.iter().rev().map(|dimension| *dimension as usize).collect();
        Ok(Tensor { name, kind, shape, size_bytes, begin })
    }
}

//! The header of a safetensors file: 8 bytes of length, then JSON, then the data
//! (<https://huggingface.co/docs/safetensors>).

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use super::{HEADER_BYTES_MAX, TENSORS_MAX, WeightsError, check_extra, check_shape, missing};
use crate::engine::files::OpenFile;
use crate::engine::tabular::config::{TensorSpec, clip};

/// Bytes that hold the length of the header.
const LENGTH_BYTES: usize = 8;
/// Key of free text about the file.
const METADATA: &str = "__metadata__";
/// Most dimensions of a tensor; weights have two.
const DIMENSIONS_MAX: usize = 32;

/// What the header says about each tensor.
#[derive(Debug)]
pub(in crate::engine) struct Header {
    tensors: HashMap<String, Entry>,
    /// Where in the file the data begins.
    data: u64,
}

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Header {
    /// Reads the header of the file `bytes` and checks that its tensors tile the rest.
    pub(in crate::engine) fn parse(bytes: &[u8]) -> Result<Self, WeightsError> {
        let size_bytes = bytes.len() as u64;
        let end = header_end(bytes, size_bytes)?;
        Self::of_json(bytes.get(LENGTH_BYTES..end as usize).unwrap_or_default(), size_bytes)
    }

    /// The same of a file of which the rest is not read.
    pub(in crate::engine) fn read(file: &OpenFile) -> Result<Self, WeightsError> {
        let size_bytes = file.size_bytes();
        let begin = LENGTH_BYTES as u64;
        let read = |source| WeightsError::Read { source };
        let end = header_end(&file.bytes(0..begin.min(size_bytes)).map_err(read)?, size_bytes)?;
        Self::of_json(&file.bytes(begin..end).map_err(read)?, size_bytes)
    }

    /// The header with this JSON, of a file of `size_bytes` bytes.
    fn of_json(json: &[u8], size_bytes: u64) -> Result<Self, WeightsError> {
        let Entries(tensors) =
            serde_json::from_slice(json).map_err(|source| WeightsError::Header { source })?;
        let header = Self { tensors, data: (LENGTH_BYTES + json.len()) as u64 };
        header.check_ranges(size_bytes.saturating_sub(header.data))?;
        Ok(header)
    }

    /// Whether there is a tensor of this name.
    pub(in crate::engine) fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// The names of all tensors.
    pub(in crate::engine) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// Where in the file the bytes of the tensor `spec` are, and their type: one of `F32`, `F16`
    /// and `BF16`.
    pub(in crate::engine) fn place_of(
        &self,
        spec: &TensorSpec,
    ) -> Result<(&str, Range<u64>), WeightsError> {
        let (entry, begin, end) = self.entry(spec)?;
        Ok((&entry.dtype, self.data + begin..self.data + end))
    }

    /// Ranges follow one another without gaps or overlaps, from 0 to `size_bytes`.
    fn check_ranges(&self, size_bytes: u64) -> Result<(), WeightsError> {
        let mut ranges: Vec<(u64, u64, &String)> = self
            .tensors
            .iter()
            .map(|(name, entry)| (entry.data_offsets.0, entry.data_offsets.1, name))
            .collect();
        ranges.sort_unstable();
        let mut expected = 0;
        for (begin, end, tensor) in ranges {
            if begin != expected || end < begin || end > size_bytes {
                let tensor = clip(tensor);
                return Err(WeightsError::Range { tensor, begin, end, size_bytes, expected });
            }
            expected = end;
        }
        if expected != size_bytes {
            return Err(WeightsError::Length { end: expected, size_bytes });
        }
        Ok(())
    }

    /// Checks that the tensors are those of `specs`, and of a size that fits their shape.
    pub(super) fn check(&self, specs: &[TensorSpec]) -> Result<(), WeightsError> {
        for spec in specs {
            self.entry(spec)?;
        }
        check_extra(specs, self.tensors.keys())
    }

    /// The entry of `spec`, with the range of a size that fits its shape.
    fn entry(&self, spec: &TensorSpec) -> Result<(&Entry, u64, u64), WeightsError> {
        let entry = self.tensors.get(&spec.name).ok_or_else(|| missing(spec))?;
        check_shape(spec, &entry.shape)?;
        let width = match entry.dtype.as_str() {
            "F32" => 4,
            "F16" | "BF16" => 2,
            other => {
                let tensor = clip(&spec.name);
                return Err(WeightsError::Type { tensor, found: clip(other) });
            }
        };
        let expected = spec.elements() as u64 * width;
        let (begin, end) = entry.data_offsets;
        let found = end.saturating_sub(begin);
        if found != expected {
            return Err(WeightsError::Size { tensor: clip(&spec.name), found, expected });
        }
        Ok((entry, begin, end))
    }
}

/// Where the JSON of a file of `size_bytes` bytes ends, which begins with `first`.
fn header_end(first: &[u8], size_bytes: u64) -> Result<u64, WeightsError> {
    let begin = LENGTH_BYTES as u64;
    let truncated = |needed| WeightsError::Truncated { found: size_bytes, needed };
    let (length, _) = first.split_first_chunk().ok_or_else(|| truncated(begin))?;
    let length = u64::from_le_bytes(*length);
    // First against the file: that is what a file of another kind fails.
    if length > size_bytes.saturating_sub(begin) {
        return Err(truncated(length.saturating_add(begin)));
    }
    if length > HEADER_BYTES_MAX {
        return Err(WeightsError::HeaderTooLong { found: length, max: HEADER_BYTES_MAX });
    }
    Ok(begin + length)
}

/// The tensors of a header.
struct Entries(HashMap<String, Entry>);

/// A derived `HashMap` would take any number of tensors and the last of several of one name.
impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut tensors = HashMap::new();
                let mut metadata = false;
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        if std::mem::replace(&mut metadata, true) {
                            return Err(A::Error::custom("`__metadata__` is there twice"));
                        }
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if tensors.len() == TENSORS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "more than {TENSORS_MAX} tensors, the most that a model has"
                        )));
                    }
                    let entry: Entry = map.next_value()?;
                    if entry.shape.len() > DIMENSIONS_MAX {
                        return Err(A::Error::custom(format_args!(
                            "tensor `{}` has more than {DIMENSIONS_MAX} dimensions",
                            clip(&name)
                        )));
                    }
                    if let Some(twice) = tensors.insert(name.clone(), entry) {
                        return Err(A::Error::custom(format_args!(
                            "tensor `{}` is there twice, once as {}",
                            clip(&name),
                            clip(&twice.dtype)
                        )));
                    }
                }
                Ok(Entries(tensors))
            }
        }

        from.deserialize_map(Reader)
    }
}

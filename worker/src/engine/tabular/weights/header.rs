//! The header of a safetensors file: 8 bytes of length, then JSON, then the data
//! (<https://huggingface.co/docs/safetensors>).

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use super::{HEADER_BYTES_MAX, TENSORS_MAX, WeightsError, check_extra, check_shape, missing};
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
        let found = bytes.len() as u64;
        let truncated = |needed| WeightsError::Truncated { found, needed };
        let (length, rest) = bytes
            .split_first_chunk::<LENGTH_BYTES>()
            .ok_or_else(|| truncated(LENGTH_BYTES as u64))?;
        let length = u64::from_le_bytes(*length);
        // First against the file: that is what a file of another kind fails.
        if length > rest.len() as u64 {
            return Err(truncated(length.saturating_add(LENGTH_BYTES as u64)));
        }
        if length > HEADER_BYTES_MAX {
            return Err(WeightsError::HeaderTooLong { found: length, max: HEADER_BYTES_MAX });
        }
        let (json, data) = rest
            .split_at_checked(length as usize)
            .ok_or_else(|| truncated(length.saturating_add(LENGTH_BYTES as u64)))?;
        let header: Self =
            serde_json::from_slice(json).map_err(|source| WeightsError::Header { source })?;
        header.check_ranges(data.len() as u64)?;
        Ok(header)
    }

    /// Whether there is a tensor of this name.
    pub(in crate::engine) fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// The bytes of the tensor `spec` in the file `bytes`, which this is the header of, and their
    /// type: one of `F32`, `F16` and `BF16`.
    pub(in crate::engine) fn bytes_of<'a>(
        &self,
        spec: &TensorSpec,
        bytes: &'a [u8],
    ) -> Result<(&str, &'a [u8]), WeightsError> {
        let (entry, begin, end) = self.entry(spec)?;
        let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().unwrap_or((&[0; 8], &[]));
        let data = rest.get(u64::from_le_bytes(*length) as usize..).unwrap_or_default();
        let data = data.get(begin as usize..end as usize).unwrap_or_default();
        Ok((&entry.dtype, data))
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

/// A derived `HashMap` would take any number of tensors and the last of several of one name.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
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
                Ok(Header { tensors })
            }
        }

        from.deserialize_map(Entries)
    }
}

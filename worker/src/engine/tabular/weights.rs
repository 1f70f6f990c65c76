//! `model.safetensors`: checked byte by byte before candle reads it.
//!
//! The file may come from anywhere. Its header is parsed with a bound on its length and on the
//! number of tensors, every range is checked against the file and the other ranges, and names,
//! shapes and types are compared with the configuration, before any tensor is allocated.

use std::collections::HashMap;
use std::io;

use candle_core::{DType, Device, Tensor};
use thiserror::Error;

use super::config::{Config, TensorSpec, clip};

mod header;

pub(in crate::engine) use header::Header;

/// Most bytes of `model.safetensors`.
pub const FILE_BYTES_MAX: u64 = super::config::WEIGHTS_BYTES_MAX + HEADER_BYTES_MAX + 8;
/// Most bytes of the header: it holds the names of the tensors, which `config.json` bounds.
pub const HEADER_BYTES_MAX: u64 = 32 << 20;
/// Most tensors: an embedding table for each feature, weight and bias for each layer.
pub const TENSORS_MAX: usize = super::config::FEATURES_MAX + 2 * (super::config::LAYERS_MAX + 1);

/// Why the weights of a model cannot be used.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file ends before its header does.
    #[error(
        "the file has {found} bytes but its header needs {needed}: it is truncated or no safetensors file, copy it again"
    )]
    Truncated {
        /// Bytes that there are.
        found: u64,
        /// Bytes that there must be at least.
        needed: u64,
    },
    /// The header is longer than any header that is supported.
    #[error(
        "the header has {found} bytes, more than the {max} that are supported: use a model with fewer tensors"
    )]
    HeaderTooLong {
        /// Its length.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The header is not the JSON that the format asks for.
    #[error("the header is not that of a safetensors file: write the model again")]
    Header {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The ranges of the tensors do not tile the data.
    #[error(
        "tensor `{tensor}` has bytes {begin} to {end} of {size_bytes}, expected to begin at {expected}: the file is damaged, copy it again"
    )]
    Range {
        /// The tensor.
        tensor: String,
        /// Its first byte.
        begin: u64,
        /// One past its last byte.
        end: u64,
        /// Bytes of data in the file.
        size_bytes: u64,
        /// Where the tensor before it ends.
        expected: u64,
    },
    /// Bytes belong to no tensor.
    #[error("the tensors end at byte {end} of {size_bytes}: the file is damaged, copy it again")]
    Length {
        /// Where the last tensor ends.
        end: u64,
        /// Bytes of data in the file.
        size_bytes: u64,
    },
    /// A tensor that the configuration asks for is absent.
    #[error(
        "tensor `{tensor}` of shape {expected:?} is missing: use the config.json and model.safetensors of one model"
    )]
    Missing {
        /// The tensor.
        tensor: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor that the configuration does not know is there.
    #[error(
        "tensor `{tensor}` is not part of the model that config.json describes: use the config.json and model.safetensors of one model"
    )]
    Extra {
        /// The tensor, clipped.
        tensor: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error(
        "tensor `{tensor}` has shape {found:?} but config.json asks for {expected:?}: use the config.json and model.safetensors of one model"
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
    /// A tensor is not made of floats.
    #[error("tensor `{tensor}` has type {found}: use F32, F16 or BF16")]
    Type {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The length of a tensor's range is not that of its shape.
    #[error(
        "tensor `{tensor}` has {found} bytes but its shape needs {expected}: the file is damaged, copy it again"
    )]
    Size {
        /// The tensor.
        tensor: String,
        /// Bytes in its range.
        found: u64,
        /// Bytes of its shape.
        expected: u64,
    },
    /// A weight is NaN or infinite.
    #[error(
        "tensor `{tensor}` holds {found} at position {position}: the training diverged, train again"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The first such value.
        found: f32,
        /// Its position in row-major order.
        position: usize,
    },
    /// The system refused to read the file, whose size was known.
    #[error("it cannot be read: check that it is on a working volume")]
    Read {
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// A tensor is in several files.
    #[error("tensor `{tensor}` is in two files of the model: copy it again")]
    Twice {
        /// The tensor, clipped.
        tensor: String,
    },
    /// Candle refused a tensor that passed every check.
    #[error(
        "candle cannot read the tensors: this is a defect of nightshift, please report it with the model"
    )]
    Candle {
        /// The refusal.
        #[source]
        source: candle_core::Error,
    },
}

impl From<candle_core::Error> for WeightsError {
    fn from(source: candle_core::Error) -> Self {
        Self::Candle { source }
    }
}

/// The tensors of the safetensors file `bytes` as 32-bit floats on the CPU.
///
/// # Errors
/// Whatever is wrong with the file, or keeps it from being the weights of `config`.
pub(super) fn parse(
    config: &Config,
    bytes: &[u8],
) -> Result<HashMap<String, Tensor>, WeightsError> {
    let header = Header::parse(bytes)?;
    let specs = config.tensors();
    header.check(&specs)?;
    let mut tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    for tensor in tensors.values_mut() {
        *tensor = tensor.to_dtype(DType::F32)?;
    }
    check_tensors(&specs, &tensors)?;
    Ok(tensors)
}

/// Whether `tensors` are finite and exactly those of `specs`, in any float type.
pub(super) fn check_tensors(
    specs: &[TensorSpec],
    tensors: &HashMap<String, Tensor>,
) -> Result<(), WeightsError> {
    for spec in specs {
        let tensor = tensors.get(&spec.name).ok_or_else(|| missing(spec))?;
        check_shape(spec, tensor.dims())?;
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16) {
            let found = tensor.dtype().as_str().to_uppercase();
            return Err(WeightsError::Type { tensor: clip(&spec.name), found });
        }
        let values = values(tensor)?;
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            let found = values.get(position).copied().unwrap_or(f32::NAN);
            return Err(WeightsError::NotFinite { tensor: clip(&spec.name), found, position });
        }
    }
    check_extra(specs, tensors.keys())
}

/// The values of a tensor in row-major order.
pub(super) fn values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

fn missing(spec: &TensorSpec) -> WeightsError {
    WeightsError::Missing { tensor: clip(&spec.name), expected: spec.shape.clone() }
}

fn check_shape(spec: &TensorSpec, found: &[usize]) -> Result<(), WeightsError> {
    /// Dimensions that a message repeats.
    const SHOWN: usize = 8;
    if spec.shape == found {
        return Ok(());
    }
    Err(WeightsError::Shape {
        tensor: clip(&spec.name),
        found: found.iter().take(SHOWN).copied().collect(),
        expected: spec.shape.clone(),
    })
}

fn check_extra<'a>(
    specs: &[TensorSpec],
    found: impl Iterator<Item = &'a String>,
) -> Result<(), WeightsError> {
    let known: std::collections::HashSet<&str> =
        specs.iter().map(|spec| spec.name.as_str()).collect();
    // The least name, so that the message is the same each time.
    match found.filter(|name| !known.contains(name.as_str())).min() {
        Some(extra) => Err(WeightsError::Extra { tensor: clip(extra) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

//! Tensors out of `model.safetensors` or a GGUF file, one at a time, as 32-bit floats.

use half::{bf16, f16};

use super::family::Names;
use super::generate::gguf::Gguf;
use super::shape::Stacked;
use crate::engine::tabular::{Header, TensorSpec, WeightsError};

/// The file, its header checked. Tensors that a model does not use are passed over.
pub(super) struct Weights<'a>(Source<'a>);

enum Source<'a> {
    Safetensors { header: Header, bytes: &'a [u8], prefix: &'static str },
    Gguf(&'a Gguf<'a>),
}

impl<'a> Weights<'a> {
    /// Checks the header of the file `bytes`, of a model whose tensors have these names.
    pub(super) fn parse(bytes: &'a [u8], names: &Names) -> Result<Self, WeightsError> {
        let header = Header::parse(bytes)?;
        let Names { prefix, words, .. } = names;
        let inner = header.has(&format!("{prefix}{words}.weight"));
        let prefix = if inner { prefix } else { "" };
        Ok(Self(Source::Safetensors { header, bytes, prefix }))
    }

    /// The tensors of a GGUF file that was checked.
    pub(super) fn of_gguf(gguf: &'a Gguf<'a>) -> Self {
        Self(Source::Gguf(gguf))
    }

    /// The numbers of the tensor `name` of the model without its head, all finite, in row-major
    /// order.
    pub(super) fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        match &self.0 {
            Source::Safetensors { prefix, .. } => {
                self.take_whole(&format!("{prefix}{name}"), shape)
            }
            Source::Gguf(_) => self.take_whole(name, shape),
        }
    }

    /// Bytes of a file of safetensors, which is in memory.
    #[cfg(any(test, feature = "cuda"))]
    pub(super) fn file_bytes(&self) -> u64 {
        match &self.0 {
            Source::Safetensors { bytes, .. } => bytes.len() as u64,
            Source::Gguf(_) => 0,
        }
    }

    /// The numbers of `stacked` in the layer that the file calls `layer`, and what is added to each
    /// row, which is nothing where there is no bias.
    pub(super) fn stacked(
        &self,
        stacked: &Stacked,
        layer: &str,
    ) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
        let (mut matrix, mut bias) = (Vec::new(), Vec::new());
        for (name, rows) in &stacked.parts {
            let take =
                |part: &str, shape: &[usize]| self.take(&format!("{layer}.{name}.{part}"), shape);
            matrix.extend(take("weight", &[*rows, stacked.depth])?);
            if stacked.has_bias {
                bias.extend(take("bias", &[*rows])?);
            }
        }
        Ok((matrix, bias))
    }

    /// The same of the tensor that the file calls `name`.
    pub(super) fn take_whole(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let spec = TensorSpec { name: name.to_owned(), shape: shape.to_vec() };
        let numbers: Vec<f32> = match &self.0 {
            Source::Gguf(gguf) => gguf.tensor(&spec)?,
            Source::Safetensors { header, bytes, .. } => {
                let (kind, bytes) = header.bytes_of(&spec, bytes)?;
                let pairs = || bytes.as_chunks().0.iter();
                match kind {
                    "F16" => pairs().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect(),
                    "BF16" => pairs().map(|pair| bf16::from_le_bytes(*pair).to_f32()).collect(),
                    _ => bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
                }
            }
        };
        match numbers.iter().position(|number| !number.is_finite()) {
            None => Ok(numbers),
            Some(position) => Err(WeightsError::NotFinite {
                tensor: spec.name,
                found: numbers.get(position).copied().unwrap_or(f32::NAN),
                position,
            }),
        }
    }
}

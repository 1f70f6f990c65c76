//! Tensors out of files of safetensors or a GGUF file, one at a time, as 32-bit floats.

use half::{bf16, f16};

use super::family::Names;
use super::generate::gguf::Gguf;
use super::shape::Stacked;
use crate::engine::LoadError;
use crate::engine::files::OpenFile;
use crate::engine::tabular::{Header, TensorSpec, WeightsError, clip};

/// Files whose headers were checked. Tensors that a model does not use are passed over.
pub(super) struct Weights<'a>(Source<'a>);

enum Source<'a> {
    Safetensors { files: Vec<(Header, &'a OpenFile)>, prefix: &'static str },
    Gguf(&'a Gguf),
}

impl<'a> Weights<'a> {
    /// Checks the headers of `files`, of a model whose tensors have these names.
    pub(super) fn of_files(files: &'a [OpenFile], names: &Names) -> Result<Self, LoadError> {
        let refused = |file: &OpenFile, source| {
            let path = file.path().to_path_buf();
            LoadError::Weights { path, source }
        };
        let mut checked: Vec<(Header, &OpenFile)> = Vec::new();
        for file in files {
            let header = Header::read(file).map_err(|source| refused(file, source))?;
            let twice = header.names().find(|name| checked.iter().any(|(own, _)| own.has(name)));
            if let Some(name) = twice {
                return Err(refused(file, WeightsError::Twice { tensor: clip(name) }));
            }
            checked.push((header, file));
        }
        let Names { prefix, words, .. } = names;
        let table = format!("{prefix}{words}.weight");
        let inner = checked.iter().any(|(header, _)| header.has(&table));
        let prefix = if inner { prefix } else { "" };
        Ok(Self(Source::Safetensors { files: checked, prefix }))
    }

    /// The tensors of a GGUF file that was checked.
    pub(super) fn of_gguf(gguf: &'a Gguf) -> Self {
        Self(Source::Gguf(gguf))
    }

    /// The error that `source` is for these files: of several the one that is named is the first.
    pub(super) fn refused(&self, source: WeightsError) -> LoadError {
        let file = match &self.0 {
            Source::Gguf(gguf) => Some(gguf.file()),
            Source::Safetensors { files, .. } => files.first().map(|(_, file)| *file),
        };
        let path = file.map(|file| file.path().to_path_buf()).unwrap_or_default();
        LoadError::Weights { path, source }
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

    /// The numbers of `stacked` in the layer that the file calls `layer`, and what is added to each
    /// row, which is nothing where there is no bias.
    pub(super) fn stacked(
        &self,
        stacked: &Stacked,
        layer: &str,
    ) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
        let (mut matrix, mut bias) = (Vec::new(), Vec::new());
        if stacked.parts.len() > 1 {
            matrix.reserve_exact(stacked.rows() * stacked.depth);
        }
        for (name, rows) in &stacked.parts {
            let take =
                |part: &str, shape: &[usize]| self.take(&format!("{layer}.{name}.{part}"), shape);
            let numbers = take("weight", &[*rows, stacked.depth])?;
            // Most are of one part, which is not copied.
            match stacked.parts.as_slice() {
                [_] => matrix = numbers,
                _ => matrix.extend(numbers),
            }
            if stacked.has_bias {
                bias.extend(take("bias", &[*rows])?);
            }
        }
        Ok((matrix, bias))
    }

    /// The same of the tensor that the file calls `name`.
    pub(super) fn take_whole(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let spec = TensorSpec { name: name.to_owned(), shape: shape.to_vec() };
        let numbers = match &self.0 {
            Source::Gguf(gguf) => gguf.tensor(&spec)?,
            Source::Safetensors { files, .. } => floats(files, &spec)?,
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

/// The numbers of the tensor `spec`, which is in one of `files`.
fn floats(files: &[(Header, &OpenFile)], spec: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
    // Where none has it, the first one says so.
    let own = files.iter().find(|(header, _)| header.has(&spec.name)).or(files.first());
    let Some((header, file)) = own else { return Ok(Vec::new()) };
    let (kind, range) = header.place_of(spec)?;
    let mut out = Vec::with_capacity(spec.elements());
    let read = match kind {
        "F16" => file.blocks(range, 2, |block| {
            out.extend(block.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()));
        }),
        "BF16" => file.blocks(range, 2, |block| {
            out.extend(block.as_chunks().0.iter().map(|two| bf16::from_le_bytes(*two).to_f32()));
        }),
        _ => file.blocks(range, 4, |block| {
            out.extend(block.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)));
        }),
    };
    read.map_err(|source| WeightsError::Read { source })?;
    Ok(out)
}

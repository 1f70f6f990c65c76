//! A GGUF file (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): description,
//! tokenizer and weights of a model in one file.
//!
//! `header` checks all that the file says about itself before anything is made of it; `blocks`
//! turns blocks of few bits into floats; `described` writes what the file says as the
//! `config.json` and the `tokenizer.json` that it was made of, so that those are checked as every
//! other.

use crate::engine::LoadError;
use crate::engine::files::OpenFile;
use crate::engine::tabular::{TensorSpec, WeightsError, clip};
use crate::engine::text::TextError;

mod blocks;
mod described;
mod header;

pub(super) use described::Described;
pub use header::GgufError;
use header::Header;

/// Bytes of a file in which its header is looked for at first; those of SmolLM2 are 2 MiB.
const FIRST_BYTES: u64 = 4 << 20;
/// Most bytes of a header, whose longest part is the tokenizer.
const HEADER_BYTES_MAX: u64 = 256 << 20;

/// A file whose header was checked.
#[derive(Debug)]
pub(in crate::engine::text) struct Gguf {
    header: Header,
    file: OpenFile,
    /// Heads of queries and of keys whose rows lie as llama.cpp turns them: first and second
    /// number of a pair side by side, rather than half a head apart.
    turned: Option<[usize; 2]>,
}

impl Gguf {
    /// Checks the header of `file`.
    pub(super) fn read(file: OpenFile) -> Result<Self, LoadError> {
        let refused = |source: GgufError| refused(&file, source.into());
        let size_bytes = file.size_bytes();
        let mut length = FIRST_BYTES.min(size_bytes);
        let header = loop {
            let bytes = file.bytes(0..length).map_err(|source| file.unreadable(source))?;
            match Header::parse(&bytes, size_bytes) {
                // How long a header is shows when its end is there.
                Err(GgufError::Truncated { .. }) if length < size_bytes => {
                    if length == HEADER_BYTES_MAX {
                        return Err(refused(GgufError::HeaderTooLong { max: HEADER_BYTES_MAX }));
                    }
                    length = (length * 4).min(size_bytes).min(HEADER_BYTES_MAX);
                }
                header => break header.map_err(refused)?,
            }
        };
        let turned = turned(&header).map_err(refused)?;
        Ok(Self { header, file, turned })
    }

    /// The error that `source` is for this file.
    pub(super) fn refused(&self, source: TextError) -> LoadError {
        refused(&self.file, source)
    }

    /// The file.
    pub(in crate::engine::text) fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Whether there is a tensor of this name, in the words of transformers.
    pub(super) fn has(&self, name: &str) -> bool {
        own_name(name).is_some_and(|own| self.header.tensor(&own).is_some())
    }

    /// The numbers of a tensor, by its name in the words of transformers.
    pub(in crate::engine::text) fn tensor(
        &self,
        spec: &TensorSpec,
    ) -> Result<Vec<f32>, WeightsError> {
        let TensorSpec { name, shape } = spec;
        let own = own_name(name).unwrap_or_else(|| name.clone());
        let Some(entry) = self.header.tensor(&own) else {
            return Err(WeightsError::Missing { tensor: clip(&own), expected: shape.clone() });
        };
        if entry.shape != *shape {
            let (tensor, found) = (clip(&own), entry.shape.clone());
            return Err(WeightsError::Shape { tensor, found, expected: shape.clone() });
        }
        let (kind, range) = (entry.kind, entry.begin..entry.begin + entry.size_bytes);
        let mut numbers = Vec::with_capacity(spec.elements());
        self.file
            .blocks(range, kind.bytes(), |block| blocks::floats(kind, block, &mut numbers))
            .map_err(|source| WeightsError::Read { source })?;
        let heads = match self.turned {
            Some([heads, _]) if own.contains(".attn_q.") => heads,
            Some([_, keys]) if own.contains(".attn_k.") => keys,
            _ => return Ok(numbers),
        };
        Ok(turned_back(&numbers, heads, shape))
    }
}

fn refused(file: &OpenFile, source: TextError) -> LoadError {
    LoadError::Text { path: file.path().to_path_buf(), source: Box::new(source) }
}

/// How many heads are turned, of queries and of keys, in a file with this header.
fn turned(header: &Header) -> Result<Option<[usize; 2]>, GgufError> {
    if header.text("general.architecture")? != "llama" {
        return Ok(None);
    }
    let heads = header.count("llama.attention.head_count")?;
    let keys = header.optional_count("llama.attention.head_count_kv")?;
    Ok(Some([heads, keys.unwrap_or(heads)]))
}

/// Rows of heads as transformers has them: row 2n + m of a head was row n + m × half.
fn turned_back(numbers: &[f32], heads: usize, shape: &[usize]) -> Vec<f32> {
    let rows = shape.first().copied().unwrap_or(0);
    let depth = shape.get(1).copied().unwrap_or(1);
    let half = rows / heads.max(1) / 2;
    let mut turned = Vec::with_capacity(numbers.len());
    for row in 0..rows {
        let (head, within) = (row / (2 * half).max(1), row % (2 * half).max(1));
        let from = head * 2 * half + within % half.max(1) * 2 + within / half.max(1);
        turned.extend(numbers.get(from * depth..(from + 1) * depth).unwrap_or_default());
    }
    turned
}

/// What llama.cpp calls the tensor that transformers calls `name`.
fn own_name(name: &str) -> Option<String> {
    let own = match name {
        "embed_tokens.weight" => "token_embd.weight",
        "norm.weight" => "output_norm.weight",
        "lm_head.weight" => "output.weight",
        _ => {
            let (layer, part) = name.strip_prefix("layers.")?.split_once('.')?;
            let (part, end) = part.rsplit_once('.')?;
            let part = match part {
                "input_layernorm" => "attn_norm",
                "self_attn.q_proj" => "attn_q",
                "self_attn.k_proj" => "attn_k",
                "self_attn.v_proj" => "attn_v",
                "self_attn.o_proj" => "attn_output",
                "self_attn.q_norm" => "attn_q_norm",
                "self_attn.k_norm" => "attn_k_norm",
                "post_attention_layernorm" => "ffn_norm",
                "mlp.gate_proj" => "ffn_gate",
                "mlp.up_proj" => "ffn_up",
                "mlp.down_proj" => "ffn_down",
                _ => return None,
            };
            return Some(format!("blk.{layer}.{part}.{end}"));
        }
    };
    Some(own.to_owned())
}

#[cfg(test)]
mod tests;

//! Why the files of a text model, or the GPU for it, cannot be used.

use thiserror::Error;

use super::generate::GgufError;
use crate::engine::ErrorClass;

/// Why a file of a text model cannot be used; [`LoadError::Text`](super::super::LoadError) names it.
#[derive(Debug, Error)]
pub enum TextError {
    /// A file is not JSON of the expected shape.
    #[error("it is not the JSON that this file holds: copy the model again")]
    Json {
        /// Where and what was expected there.
        #[source]
        source: serde_json::Error,
    },
    /// The model has weights, but none that can be read without running code.
    #[error(
        "there is no model.safetensors beside it: convert pytorch_model.bin, which can hold code and is never read, with `save_pretrained(..., safe_serialization=True)`"
    )]
    NoSafetensors,
    /// A feature of the model that this engine lacks.
    #[error("{field} is {found}, and this engine supports {supported}: use another model")]
    Unsupported {
        /// Where in the file.
        field: &'static str,
        /// What it says, clipped.
        found: String,
        /// What it may say.
        supported: &'static str,
    },
    /// A number is out of bounds.
    #[error("{field} is {found}, expected {expected}: copy the model again")]
    Number {
        /// Where in the file.
        field: &'static str,
        /// What it says.
        found: usize,
        /// What it may say.
        expected: String,
    },
    /// A token has a number for which the model has no weights.
    #[error(
        "a token has the number {found}, but the model has {tokens} tokens: use the config.json and tokenizer.json of one model"
    )]
    Vocabulary {
        /// The largest number.
        found: u32,
        /// Tokens of the model.
        tokens: usize,
    },
    /// A GGUF file is damaged, or not of a kind that is read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A folder holds several GGUF files.
    #[error("the folder holds {count} GGUF files: keep one, since each is a model of its own")]
    SeveralGguf {
        /// How many.
        count: usize,
    },
    /// The tokenizer is damaged.
    #[error("the tokenizer cannot be made: {problem}; copy the model again")]
    Tokenizer {
        /// What the library said, clipped.
        problem: String,
    },
    /// The spec asks for a prompt that the model lacks.
    #[error("spec.task.prompt is `{wanted}`, and the model has {known}: choose one of those")]
    Prompt {
        /// Its name.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// The spec asks for more than the model has.
    #[error("{field} is {wanted}, and the model has {most}: write at most that, or remove it")]
    Setting {
        /// The field of the spec.
        field: &'static str,
        /// What it says.
        wanted: usize,
        /// The most that it may say.
        most: usize,
    },
    /// The spec leaves no room for text.
    #[error("texts are cut to {wanted} tokens, and the model adds {added}: allow more")]
    NoRoom {
        /// Tokens of a text at most.
        wanted: usize,
        /// Tokens that the model adds to each text.
        added: usize,
    },
}

/// Why a GPU does not compute a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// This program has no code for it.
    #[error(
        "spec.model.device is `cuda`, and this program was built without it: use the image of the worker for GPUs, build with `--features cuda`, or remove the setting"
    )]
    NotBuilt,
    /// There is none, or its driver is not there or too old.
    #[error(
        "spec.model.device is `cuda`, and no GPU can be used here ({problem}): use a machine with a GPU of NVIDIA and its driver, in Kubernetes a limit of `nvidia.com/gpu`, or remove the setting"
    )]
    Absent {
        /// What the driver said, clipped.
        problem: String,
    },
    /// Its memory is not enough.
    #[error(
        "the memory of the GPU is not enough ({problem}): use a GPU with more that no other program uses, a smaller model, `dtype: bf16`, or fewer spec.task.max_tokens"
    )]
    OutOfMemory {
        /// What was refused, clipped.
        problem: String,
    },
    /// It failed.
    #[error(
        "the GPU failed ({problem}): look for an Xid in the log of its machine's kernel, and try again on another one"
    )]
    Failed {
        /// What the driver said, clipped.
        problem: String,
    },
}

impl DeviceError {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotBuilt | Self::Absent { .. } => ErrorClass::Configuration,
            Self::OutOfMemory { .. } => ErrorClass::Memory,
            Self::Failed { .. } => ErrorClass::Io,
        }
    }
}

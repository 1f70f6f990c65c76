//! Why a model cannot be loaded or a batch cannot be scored.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use thiserror::Error;

use super::onnx::OnnxError;
use super::tabular::{ConfigError, WeightsError};
use super::text::{DeviceError, TextError};

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The spec, the model or the input's schema is wrong: every shard would fail alike (exit 78).
    Configuration,
    /// Reading failed in a way that another try may not meet (exit 74).
    Io,
    /// The memory of this machine or of this pod is not enough: fewer rows at a time may fit, and
    /// another try may (exit 74).
    Memory,
    /// Nothing is wrong that will not pass: the attempt was told to stop, or somebody was writing
    /// to the model (exit 75).
    Passing,
    /// A defect of this program (exit 70).
    Bug,
}

/// Why a batch cannot be scored.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A column that the model reads is not in the input.
    #[error(
        "the input has no column `{column}`, which the model reads; its columns are {available}: add or rename the column, or use the model that fits this input"
    )]
    MissingColumn {
        /// The column.
        column: String,
        /// The columns that there are, clipped.
        available: String,
    },
    /// A column has a type from which the feature cannot be made.
    #[error(
        "column `{column}` has type {found}, but the model takes it as {wanted}: convert the column, or use the model that fits this input"
    )]
    WrongType {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The types that would do.
        wanted: &'static str,
    },
    /// The system gave no memory for the results.
    #[error(
        "there is no memory for a batch of {rows} rows: raise spec.workers.resources.limits.memory, or give the worker fewer threads"
    )]
    OutOfMemory {
        /// Rows of the batch.
        rows: usize,
    },
    /// The attempt was told to stop in the middle of a batch.
    #[error("the batch was left off, since the attempt was told to stop")]
    LeftOff,
    /// The GPU does not compute the batch; fewer rows may fit where its memory is not enough.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An Arrow kernel refused data that passed every check.
    #[error(
        "column `{column}` cannot be prepared: this is a defect of nightshift, please report it with the input"
    )]
    Kernel {
        /// The column.
        column: String,
        /// The refusal.
        #[source]
        source: ArrowError,
    },
}

impl EngineError {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::MissingColumn { .. } | Self::WrongType { .. } => ErrorClass::Configuration,
            Self::OutOfMemory { .. } => ErrorClass::Memory,
            Self::LeftOff => ErrorClass::Passing,
            Self::Device(error) => error.class(),
            Self::Kernel { .. } => ErrorClass::Bug,
        }
    }
}

/// Why a model directory cannot be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is nothing at the path.
    #[error(
        "there is no model at {path}: name a directory that holds config.json and model.safetensors"
    )]
    NotFound {
        /// The directory.
        path: PathBuf,
    },
    /// The path is not a directory.
    #[error(
        "the model {path} is not a directory: name the directory that holds config.json and model.safetensors"
    )]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file of the model is absent.
    #[error(
        "the model lacks {path}: a model directory holds config.json and model.safetensors, copy it again"
    )]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file of the model is a directory, a pipe or the like.
    #[error("{path} is not a regular file: copy the model again")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to read a file.
    #[error(
        "{path} cannot be read: check that it is on a working volume and readable by this user"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// Somebody wrote to a file while it was read.
    #[error("{path} was changed while it was read: run again when the model is in place")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file has no bytes.
    #[error("{path} is empty: copy the model again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than any model that is supported.
    #[error(
        "{path} has {size_bytes} bytes, more than the {max_bytes} that are supported: use a smaller model"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// `config.json` is not JSON, or not of this shape.
    #[error(
        "{path} is not a description of a tabular model: correct the field named below, or write the model again"
    )]
    ConfigJson {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        #[source]
        source: serde_json::Error,
    },
    /// `config.json` describes a model of another kind.
    #[error(
        "{path} has {found}, which no engine of this build can run: use a model with `\"format\": \"nightshift-tabular\"`"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it says about its format.
        found: String,
    },
    /// `config.json` is well-formed but no model can be built from it.
    #[error("{path} describes a model that cannot be built")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        #[source]
        source: ConfigError,
    },
    /// `model.safetensors` is damaged or does not fit `config.json`.
    #[error("{path} cannot be used")]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        #[source]
        source: WeightsError,
    },
    /// `model.onnx` cannot be used.
    #[error("{path} cannot be used")]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        #[source]
        source: Box<OnnxError>,
    },
    /// A file of a text model cannot be used.
    #[error("{path} cannot be used")]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        #[source]
        source: Box<TextError>,
    },
    /// There is no GPU for the model, or it does not take it.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl LoadError {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read { .. } | Self::Weights { source: WeightsError::Read { .. }, .. } => {
                ErrorClass::Io
            }
            Self::Changed { .. } => ErrorClass::Passing,
            Self::Device(error) => error.class(),
            _ => ErrorClass::Configuration,
        }
    }
}

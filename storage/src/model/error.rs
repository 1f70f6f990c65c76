//! Why a model cannot be found, named or fetched.

use std::io;
use std::path::Path;

use nightshift_core::ids::Digest;
use nightshift_core::model::{CONFIG_FILE, ONNX_FILE};
use thiserror::Error;

use crate::error::{Cause, Class, StoreError};

/// Why a model could not be resolved or fetched. No text in here holds a token, a password or the
/// query of a URL.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The location is not usable.
    #[error("the model's location cannot be used")]
    Location {
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// There is nothing at the location.
    #[error("there is no model at {path}; check `model.uri`")]
    Missing {
        /// The directory.
        path: String,
    },
    /// The location is a file.
    #[error(
        "{path} is not a directory; `model.uri` names the directory that holds {CONFIG_FILE} or {ONNX_FILE}"
    )]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// There is no configuration.
    #[error(
        "{path} has no {CONFIG_FILE}, no {ONNX_FILE} and no GGUF file; `model.uri` names the directory that holds one of them"
    )]
    NoConfig {
        /// The directory or reference.
        path: String,
    },
    /// A file name cannot be part of a digest that ordinary tools can check.
    #[error(
        "{path} holds a model file named {name}; use plain names without `\\` and control characters"
    )]
    OddName {
        /// The directory.
        path: String,
        /// The name, escaped.
        name: String,
    },
    /// There are more files than a model has.
    #[error(
        "{path} holds more than {limit} {what}; `model.uri` names a directory of its own for each model"
    )]
    TooMany {
        /// The directory.
        path: String,
        /// What is too many.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The model is larger than any that is fetched.
    #[error(
        "{path} has {size_bytes} bytes, and at most {limit_bytes} are fetched; name a folder of it"
    )]
    TooLarge {
        /// The reference.
        path: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The configuration of a tabular model does not say which columns it reads.
    #[error("{path} names no features: {problem}; see docs/models.md")]
    NoFeatures {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A graph does not say which columns it reads.
    #[error("the columns that {path} reads cannot be named")]
    Graph {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: nightshift_core::model::onnx::InvalidInputs,
    },
    /// A file cannot be read.
    #[error("cannot read {path} of the model")]
    Unreadable {
        /// The file or directory.
        path: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A file changed while it was hashed.
    #[error("{path} changed while it was hashed; run again when the model is in place")]
    Changing {
        /// The file.
        path: String,
    },
    /// What a plan names is there with other content.
    #[error(
        "the model at {path} has the digest {found}, but the run was planned with {planned}; restore that model to finish the run, or start a new generation with --force"
    )]
    Changed {
        /// The folder or reference.
        path: String,
        /// The digest in the plan.
        planned: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// A file that a plan names is in its store with other content.
    #[error(
        "{file} of {path} has the SHA-256 {found}, but the run was planned with {planned}; restore that version of the model, or start a new generation with --force"
    )]
    FileChanged {
        /// The file.
        file: String,
        /// The pinned reference.
        path: String,
        /// The SHA-256 in the plan.
        planned: Digest,
        /// The SHA-256 of what came.
        found: Digest,
    },
    /// A store sent other bytes than it lists.
    #[error(
        "{file} of {path} arrived with the SHA-256 {found}, but the store lists {listed}; it is damaged there or on the way"
    )]
    WrongBytes {
        /// The file.
        file: String,
        /// The reference.
        path: String,
        /// The SHA-256 that the store lists.
        listed: Digest,
        /// The SHA-256 of what came.
        found: Digest,
    },
    /// An environment variable is missing or wrong.
    #[error("{variable} {problem}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A store has no such model.
    #[error("there is no {what}; check `model.uri`{hint}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// What else to look at, beginning with `, `; or empty.
        hint: String,
    },
    /// A store does not let this process read the model.
    #[error("reading {what} was refused with status {status}; {permission}")]
    Denied {
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// Which right is missing, and where it is given.
        permission: &'static str,
    },
    /// A store did not answer in time, however often it was asked.
    #[error("cannot read {what}: {tries} tries failed; try again later")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// How often it was tried.
        tries: u32,
        /// The last failure.
        #[source]
        source: Cause,
    },
    /// A store answered something that cannot be used.
    #[error("cannot read {what}: {problem}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer and what to do.
        problem: String,
    },
    /// The cache of models cannot be used.
    #[error(
        "cannot {what} {path} of the model cache; set NIGHTSHIFT_MODEL_CACHE to a folder that can be written"
    )]
    Cache {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The cache of models has no room.
    #[error(
        "no space for {needed_bytes} bytes of the model in {path}; free some, or set NIGHTSHIFT_MODEL_CACHE to a larger volume"
    )]
    CacheFull {
        /// The cache.
        path: String,
        /// Bytes that are to be written.
        needed_bytes: u64,
    },
}

impl ModelError {
    /// What kind of failure this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreadable { source, .. } | Self::Cache { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Class::Permission
            }
            Self::Denied { .. } => Class::Permission,
            Self::Unreadable { .. }
            | Self::Cache { .. }
            | Self::CacheFull { .. }
            | Self::WrongBytes { .. } => Class::Io,
            Self::Unavailable { .. } => Class::Unavailable,
            _ => Class::Invalid,
        }
    }

    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), source }
    }

    /// The error of a failed system call in the cache, of a model with `needed_bytes`.
    pub(super) fn cache(
        what: &'static str,
        path: &Path,
        needed_bytes: u64,
        source: io::Error,
    ) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::CacheFull { path, needed_bytes }
            }
            _ => Self::Cache { what, path, source },
        }
    }
}

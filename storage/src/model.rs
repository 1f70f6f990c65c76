//! Finding a model, and saying exactly which one it is.
//!
//! The digest of a model is one that a user can check with ordinary tools:
//!
//! ```sh
//! cd DIR && sha256sum config.json model.safetensors | sha256sum
//! ```
//!
//! with every file of the directory that has one of the [`EXTENSIONS`], in order of names
//! (`LC_ALL=C`).

use std::io;
use std::path::{Path, PathBuf};

use nightshift_core::ids::Digest;
use nightshift_core::plan::{ModelFile, ModelIdentity};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::error::{Class, StoreError};
use crate::location::local_path;
use crate::publish::hash_file;

/// Extensions of the files that make a model what it is; a README or a licence is not one.
pub const EXTENSIONS: [&str; 6] = ["json", "safetensors", "txt", "model", "gguf", "onnx"];

/// The file that every model has.
pub const CONFIG_FILE: &str = "config.json";

/// Most files of one model: large checkpoints come in a few hundred pieces.
const FILES_MAX: usize = 4096;

/// Most entries of a model directory that are looked at, so that a wrong path such as `/tmp`
/// ends soon.
const ENTRIES_MAX: usize = 65_536;

/// Largest configuration of a tabular model; vocabularies are the bulk of it.
const CONFIG_MAX_BYTES: u64 = 64 << 20;

/// Why a model could not be resolved.
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
    #[error("{path} is not a directory; `model.uri` names the directory that holds {CONFIG_FILE}")]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// The directory has no configuration.
    #[error("{path} has no {CONFIG_FILE}; `model.uri` names the directory that holds it")]
    NoConfig {
        /// The directory.
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
    /// The configuration of a tabular model does not say which columns it reads.
    #[error("{path} names no features: {problem}; see docs/models.md")]
    NoFeatures {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
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
}

/// Names of the columns that a tabular model reads, in the order of its features; for planning,
/// which has no engine. Nothing else of the configuration is looked at: the engine checks it.
///
/// # Errors
/// If the configuration cannot be read, or names no features.
pub async fn feature_columns(uri: &str) -> Result<Vec<String>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Config {
        features: Vec<Feature>,
    }
    #[derive(serde::Deserialize)]
    struct Feature {
        name: String,
    }
    let directory =
        local_path(uri).map_err(|source| ModelError::Location { source: Box::new(source) })?;
    let path = directory.join(CONFIG_FILE);
    let shown = path.display().to_string();
    let unreadable = |source| ModelError::Unreadable { path: shown.clone(), source };
    let size = tokio::fs::metadata(&path).await.map_err(unreadable)?.len();
    if size > CONFIG_MAX_BYTES {
        return Err(ModelError::NoFeatures { path: shown, problem: "it is too large".to_owned() });
    }
    let bytes = tokio::fs::read(&path).await.map_err(unreadable)?;
    match serde_json::from_slice::<Config>(&bytes) {
        Ok(config) => Ok(config.features.into_iter().map(|feature| feature.name).collect()),
        Err(error) => Err(ModelError::NoFeatures { path: shown, problem: error.to_string() }),
    }
}

impl ModelError {
    /// What kind of failure this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Class::Permission
            }
            Self::Unreadable { .. } => Class::Io,
            _ => Class::Invalid,
        }
    }
}

/// Finds the model at `uri`, a path or a `file://` URI, and hashes its files, with bounded
/// memory.
///
/// # Errors
/// See [`ModelError`].
pub async fn resolve_model(uri: &str, version: Option<&str>) -> Result<ModelIdentity, ModelError> {
    let directory =
        local_path(uri).map_err(|source| ModelError::Location { source: Box::new(source) })?;
    let shown = directory.display().to_string();
    let work = tokio::task::spawn_blocking(move || hash_directory(&directory));
    let files = match work.await {
        Ok(files) => files?,
        Err(error) => {
            let source = io::Error::other(error);
            return Err(ModelError::Unreadable { path: shown, source });
        }
    };
    Ok(ModelIdentity {
        uri: uri.to_owned(),
        version: version.map(str::to_owned),
        digest: digest_of(&files),
        files,
    })
}

/// SHA-256 of the lines that `sha256sum` prints for the files.
fn digest_of(files: &[ModelFile]) -> Digest {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(format!("{}  {}\n", file.sha256, file.name));
    }
    Digest(hash.finalize().into())
}

fn hash_directory(directory: &Path) -> Result<Vec<ModelFile>, ModelError> {
    names(directory)?
        .into_iter()
        .map(|name| {
            let path = directory.join(&name);
            let (size_bytes, sha256) = hash_file(&path).map_err(|e| unreadable(&path, e))?;
            Ok(ModelFile { name, size_bytes, sha256 })
        })
        .collect()
}

/// Names of the model's files, in byte order.
fn names(directory: &Path) -> Result<Vec<String>, ModelError> {
    let path = || directory.display().to_string();
    let entries = std::fs::read_dir(directory).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ModelError::Missing { path: path() },
        io::ErrorKind::NotADirectory => ModelError::NotADirectory { path: path() },
        _ => unreadable(directory, source),
    })?;
    let mut names = Vec::new();
    for (seen, entry) in entries.enumerate() {
        if seen >= ENTRIES_MAX {
            let (what, limit) = ("entries", ENTRIES_MAX);
            return Err(ModelError::TooMany { path: path(), what, limit });
        }
        let file: PathBuf = entry.map_err(|source| unreadable(directory, source))?.path();
        let known = file
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| EXTENSIONS.contains(&extension));
        // Follows links: the cache of Hugging Face is made of them.
        if !known || !file.metadata().map_err(|e| unreadable(&file, e))?.is_file() {
            continue;
        }
        let name = file.file_name().unwrap_or_default();
        match name.to_str() {
            Some(name) if !name.contains(|c: char| c.is_control() || c == '\\') => {
                names.push(name.to_owned());
            }
            _ => {
                let name = name.to_string_lossy().escape_debug().take(200).collect();
                return Err(ModelError::OddName { path: path(), name });
            }
        }
        if names.len() > FILES_MAX {
            return Err(ModelError::TooMany { path: path(), what: "files", limit: FILES_MAX });
        }
    }
    names.sort_unstable();
    if names.binary_search_by(|name| name.as_str().cmp(CONFIG_FILE)).is_err() {
        return Err(ModelError::NoConfig { path: path() });
    }
    Ok(names)
}

fn unreadable(path: &Path, source: io::Error) -> ModelError {
    ModelError::Unreadable { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests;

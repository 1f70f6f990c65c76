//! A model directory: reading and writing it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::Deserialize;
use thiserror::Error;

use super::config::{Config, ConfigError, clip};
use super::weights::{self, FILE_BYTES_MAX, WeightsError, check_tensors};
use crate::engine::{LoadError, ReadFile, files};

/// The file that describes a model.
pub const CONFIG_FILE: &str = "config.json";
/// The file that holds its weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Most bytes of `config.json`: a vocabulary of a million short words.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// A model as its directory holds it, checked.
#[derive(Debug, Clone)]
pub struct Model {
    config: Config,
    tensors: HashMap<String, Tensor>,
    files: Vec<ReadFile>,
}

impl Model {
    /// Reads the model in directory `dir`.
    ///
    /// # Errors
    /// Whatever keeps the model from being used.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        files::check_directory(dir)?;
        let path = dir.join(CONFIG_FILE);
        let bytes = files::read_bounded(&path, CONFIG_BYTES_MAX)?;
        let described = (CONFIG_FILE.into(), files::sha256(&bytes));
        let config = parse_config(&path, &bytes)?;
        let path = dir.join(WEIGHTS_FILE);
        let bytes = files::read_bounded(&path, FILE_BYTES_MAX)?;
        let files = vec![described, (WEIGHTS_FILE.into(), files::sha256(&bytes))];
        let tensors = weights::parse(&config, &bytes)
            .map_err(|source| LoadError::Weights { path, source })?;
        Ok(Self { config, tensors, files })
    }

    /// The files that were read, with the SHA-256 of the bytes that were used.
    pub fn files(&self) -> &[ReadFile] {
        &self.files
    }

    /// What the model reads, computes and returns.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tensors of [`Config::tensors`], F32 on the CPU.
    pub fn tensors(&self) -> &HashMap<String, Tensor> {
        &self.tensors
    }
}

fn parse_config(path: &Path, bytes: &[u8]) -> Result<Config, LoadError> {
    /// The one field that tells what the others mean.
    #[derive(Deserialize)]
    struct Kind {
        format: Option<String>,
    }
    let json = |source| LoadError::ConfigJson { path: path.to_path_buf(), source };
    let kind: Kind = serde_json::from_slice(bytes).map_err(json)?;
    if kind.format.as_deref() != Some(Config::FORMAT) {
        let found = match kind.format {
            Some(format) => format!("the format `{}`", clip(&format)),
            None => "no field `format`".to_owned(),
        };
        return Err(LoadError::UnknownFormat { path: path.to_path_buf(), found });
    }
    let config: Config = serde_json::from_slice(bytes).map_err(json)?;
    config.check().map_err(|source| LoadError::Config { path: path.to_path_buf(), source })?;
    Ok(config)
}

/// Why a model cannot be written.
#[derive(Debug, Error)]
pub enum SaveError {
    /// The configuration could not be loaded again.
    #[error("the configuration describes a model that cannot be built")]
    Config {
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// The tensors are not those of the configuration, or not finite.
    #[error("the tensors are not those of a usable model")]
    Weights {
        /// What is wrong.
        #[source]
        source: WeightsError,
    },
    /// A file cannot be written.
    #[error(
        "{path} cannot be written: check that it is on a volume with room and writable by this user"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
    /// Candle cannot write the tensors.
    #[error(
        "{path} cannot be written by candle: check that it is on a volume with room and writable by this user"
    )]
    Candle {
        /// The file.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: candle_core::Error,
    },
}

/// Writes `config.json` and `model.safetensors` to `dir`, which is made where it is missing.
///
/// The same configuration and tensors give the same bytes. Each file appears whole, the weights
/// first: a directory with a `config.json` is complete unless an older one was there.
///
/// # Errors
/// A model that [`Model::load`] would refuse, and files that cannot be written.
pub fn save(
    dir: &Path,
    config: &Config,
    tensors: &HashMap<String, Tensor>,
) -> Result<(), SaveError> {
    config.check().map_err(|source| SaveError::Config { source })?;
    check_tensors(&config.tensors(), tensors).map_err(|source| SaveError::Weights { source })?;
    let written = |path: &Path, result: io::Result<()>| {
        result.map_err(|source| SaveError::Write { path: path.to_path_buf(), source })
    };
    written(dir, fs::create_dir_all(dir))?;
    let path = dir.join(WEIGHTS_FILE);
    // Candle itself writes beside the file and renames.
    candle_core::safetensors::save(tensors, &path)
        .map_err(|source| SaveError::Candle { path, source })?;
    let path = dir.join(CONFIG_FILE);
    let partial = dir.join(format!("{CONFIG_FILE}.partial"));
    let json = serde_json::to_vec_pretty(config).map_err(io::Error::from);
    let json = json.map(|mut json| {
        json.push(b'\n');
        json
    });
    written(&partial, json.and_then(|json| fs::write(&partial, json)))?;
    written(&path, fs::rename(&partial, &path))
}

#[cfg(test)]
mod tests;

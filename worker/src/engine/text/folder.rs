//! The files of a model directory, read with a bound on each.

use std::path::{Path, PathBuf};

use nightshift_core::ids::Digest;
use serde::de::DeserializeOwned;

use super::TextError;
use crate::engine::{LoadError, ReadFile, files};

/// The weights.
pub(super) const WEIGHTS_FILE: &str = "model.safetensors";
/// What ends a text of a model that writes.
pub(super) const GENERATION_FILE: &str = "generation_config.json";
/// The tokenizer.
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
/// Which modules of sentence-transformers follow one another.
pub(super) const MODULES_FILE: &str = "modules.json";
/// How many tokens are used.
pub(super) const SENTENCE_FILE: &str = "sentence_bert_config.json";
/// Prompts.
pub(super) const PROMPTS_FILE: &str = "config_sentence_transformers.json";
/// How the transformers library sets the tokenizer up.
pub(super) const TOKENIZER_SETTINGS_FILE: &str = "tokenizer_config.json";
/// The folder of the pooling module.
pub(super) const POOLING_FOLDER: &str = "1_Pooling";
/// How rows are pooled.
pub(super) const POOLING_FILE: &str = "1_Pooling/config.json";

/// Most bytes of a description.
const JSON_BYTES_MAX: u64 = 1 << 20;
/// Most bytes of a tokenizer.
const TOKENIZER_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of weights.
const WEIGHTS_BYTES_MAX: u64 = 4 << 30;

/// Entries of the directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// A model directory, and what was read of it so far.
pub(super) struct Folder<'a> {
    dir: &'a Path,
    read: Vec<ReadFile>,
}

impl<'a> Folder<'a> {
    /// The directory `dir`.
    pub(super) fn open(dir: &'a Path) -> Result<Self, LoadError> {
        files::check_directory(dir)?;
        Ok(Self { dir, read: Vec::new() })
    }

    /// The files that were read, with the SHA-256 of their bytes.
    pub(super) fn into_files(self) -> Vec<ReadFile> {
        self.read
    }

    /// The error that `source` is for the file `name`.
    pub(super) fn error(&self, name: &str, source: TextError) -> LoadError {
        LoadError::Text { path: self.path(name), source: Box::new(source) }
    }

    /// The error for weights that cannot be used.
    pub(super) fn weights_error(&self, source: crate::engine::tabular::WeightsError) -> LoadError {
        LoadError::Weights { path: self.path(WEIGHTS_FILE), source }
    }

    /// The same for weights in the file `name`.
    pub(super) fn weights_error_of(
        &self,
        name: &str,
        source: crate::engine::tabular::WeightsError,
    ) -> LoadError {
        LoadError::Weights { path: self.path(name), source }
    }

    /// The content of a description.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<T, LoadError> {
        let bytes = self.bytes(name, JSON_BYTES_MAX)?;
        self.parse(name, &bytes)
    }

    /// The content of a description that not every model has.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, LoadError> {
        match self.bytes(name, JSON_BYTES_MAX) {
            Ok(bytes) => self.parse(name, &bytes).map(Some),
            Err(LoadError::MissingFile { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of `tokenizer.json`.
    pub(super) fn tokenizer(&mut self) -> Result<Vec<u8>, LoadError> {
        self.bytes(TOKENIZER_FILE, TOKENIZER_BYTES_MAX)
    }

    /// The bytes of the weights; [`hashed`](Self::hashed) takes their digest, which takes a while.
    pub(super) fn weights(&self) -> Result<Vec<u8>, LoadError> {
        match files::read_bounded(&self.path(WEIGHTS_FILE), WEIGHTS_BYTES_MAX) {
            Err(LoadError::MissingFile { .. }) if self.path("pytorch_model.bin").is_file() => {
                Err(self.error("pytorch_model.bin", TextError::NoSafetensors))
            }
            result => result,
        }
    }

    /// Remembers the SHA-256 of the weights.
    pub(super) fn hashed(&mut self, weights: Digest) {
        self.read.push((WEIGHTS_FILE.into(), weights));
    }

    /// The name of the GGUF file, if the model is one: there are no other weights.
    pub(super) fn gguf_name(&self) -> Result<Option<String>, LoadError> {
        if self.path(WEIGHTS_FILE).is_file() {
            return Ok(None);
        }
        let read = |source| LoadError::Read { path: self.dir.to_path_buf(), source };
        let (mut found, mut count) = (None, 0);
        for entry in std::fs::read_dir(self.dir).map_err(read)?.take(ENTRIES_MAX) {
            let path = entry.map_err(read)?.path();
            let is_gguf = path.extension().is_some_and(|end| end == "gguf") && path.is_file();
            if let (true, Some(name)) = (is_gguf, path.file_name().and_then(|name| name.to_str())) {
                found = Some(name.to_owned());
                count += 1;
            }
        }
        match count {
            0 | 1 => Ok(found),
            _ => Err(self.error("", TextError::SeveralGguf { count })),
        }
    }

    /// The bytes of the GGUF file `name`.
    pub(super) fn gguf(&mut self, name: &str) -> Result<Vec<u8>, LoadError> {
        let bytes = files::read_bounded(&self.path(name), WEIGHTS_BYTES_MAX)?;
        self.read.push((name.to_owned().into(), files::sha256(&bytes)));
        Ok(bytes)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, LoadError> {
        serde_json::from_slice(bytes).map_err(|source| self.error(name, TextError::Json { source }))
    }

    fn bytes(&mut self, name: &'static str, max_bytes: u64) -> Result<Vec<u8>, LoadError> {
        let bytes = files::read_bounded(&self.path(name), max_bytes)?;
        self.read.push((name.into(), files::sha256(&bytes)));
        Ok(bytes)
    }
}

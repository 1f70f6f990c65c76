//! The files of a model directory, read with a bound on each.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::thread;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TextError;
use crate::engine::files::{OpenFile, joined};
use crate::engine::tabular::clip;
use crate::engine::{LoadError, ReadFile, files};

/// The weights.
pub(super) const WEIGHTS_FILE: &str = "model.safetensors";
/// Where weights are that lie in several files.
pub(super) const INDEX_FILE: &str = "model.safetensors.index.json";
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
/// Most bytes of weights, in all files together.
const WEIGHTS_BYTES_MAX: u64 = 64 << 30;
/// Most bytes of what says which tensor is in which file.
const INDEX_BYTES_MAX: u64 = 32 << 20;
/// Most files of weights.
const WEIGHT_FILES_MAX: usize = 256;

/// Entries of the directory that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// What says which tensor is in which file.
#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

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

    /// The files of weights, opened; they are read where they are wanted.
    pub(super) fn weights(&mut self) -> Result<Vec<OpenFile>, LoadError> {
        let whole = OpenFile::open(self.path(WEIGHTS_FILE), WEIGHTS_BYTES_MAX);
        if !matches!(whole, Err(LoadError::MissingFile { .. })) {
            return Ok(vec![whole?]);
        }
        if !self.path(INDEX_FILE).is_file() {
            let is_pickled = self.path("pytorch_model.bin").is_file();
            return Err(match is_pickled {
                true => self.error("pytorch_model.bin", TextError::NoSafetensors),
                false => LoadError::MissingFile { path: self.path(WEIGHTS_FILE) },
            });
        }
        let bytes = self.bytes(INDEX_FILE, INDEX_BYTES_MAX)?;
        let index: Index = self.parse(INDEX_FILE, &bytes)?;
        let names: BTreeSet<String> = index.weight_map.into_values().collect();
        let is_plain = |name: &String| name.ends_with(".safetensors") && !name.contains('/');
        if let Some(name) = names.iter().find(|name| !is_plain(name)) {
            let (field, found) = ("weight_map", format!("`{}`", clip(name)));
            let supported = "files of safetensors beside it";
            return Err(self.error(INDEX_FILE, TextError::Unsupported { field, found, supported }));
        }
        if !(1..=WEIGHT_FILES_MAX).contains(&names.len()) {
            let (field, found) = ("files of weight_map", names.len());
            let expected = format!("1 to {WEIGHT_FILES_MAX}");
            return Err(self.error(INDEX_FILE, TextError::Number { field, found, expected }));
        }
        let mut room = WEIGHTS_BYTES_MAX;
        let opened = names.iter().map(|name| {
            let file = OpenFile::open(self.path(name), room)?;
            room -= file.size_bytes();
            Ok(file)
        });
        opened.collect()
    }

    /// What `load` makes of these files of weights, while their digests are taken.
    pub(super) fn hashed<T>(
        &mut self,
        weights: &[OpenFile],
        load: impl FnOnce() -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        let hash = |file: &OpenFile| {
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok::<ReadFile, LoadError>((Cow::from(name), file.sha256()?))
        };
        let (digests, loaded) = thread::scope(|scope| {
            let digests = scope.spawn(|| weights.iter().map(hash).collect::<Result<Vec<_>, _>>());
            let loaded = load();
            (joined(digests.join()), loaded)
        });
        // Before anything else that is wrong, which may come from it.
        weights.iter().try_for_each(OpenFile::check_unchanged)?;
        self.read.extend(digests?);
        loaded
    }

    /// The GGUF file, if the model is one: there are no other weights.
    pub(super) fn gguf(&self) -> Result<Option<OpenFile>, LoadError> {
        if self.path(WEIGHTS_FILE).is_file() || self.path(INDEX_FILE).is_file() {
            return Ok(None);
        }
        let read = |source| LoadError::Read { path: self.dir.to_path_buf(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.dir).map_err(read)?.take(ENTRIES_MAX) {
            let path = entry.map_err(read)?.path();
            if path.extension().is_some_and(|end| end == "gguf") && path.is_file() {
                found.push(path);
            }
        }
        match found.len() {
            0 | 1 => {
                let opened = found.pop().map(|path| OpenFile::open(path, WEIGHTS_BYTES_MAX));
                opened.transpose()
            }
            count => Err(self.error("", TextError::SeveralGguf { count })),
        }
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

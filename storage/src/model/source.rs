//! What a model store has to be able to do.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use nightshift_core::ids::Digest;
use nightshift_core::model::{PinnedModel, is_described, is_model_file, is_plain_name};
use nightshift_core::plan::ModelFile;

use super::ModelError;
use super::patience::{Asked, Trouble};
use crate::error::Cause;

/// Most files of one model: large checkpoints come in a few hundred pieces.
pub(super) const FILES_MAX: usize = 4096;

/// Most entries of a model's folder that are looked at, so that a wrong one such as `/tmp` ends
/// soon.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// Largest model that is fetched: well beyond the largest open checkpoints, so that only a
/// wrong listing is refused.
pub(super) const MODEL_MAX_BYTES: u64 = 2 << 40;

/// Reads the files of one pinned model.
#[async_trait]
pub(super) trait ModelSource: Send + Sync {
    /// The file `name` from byte `from` on, or from its beginning.
    async fn open(&self, name: &str, from: u64) -> Result<Opened, Trouble>;

    /// What is read, for messages.
    fn asked(&self) -> &Asked;
}

/// Bytes on their way.
pub(super) struct Opened {
    /// Where they begin.
    pub(super) from: u64,
    /// They.
    pub(super) chunks: BoxStream<'static, Result<Bytes, Cause>>,
}

/// A file as a store lists it or a plan names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Path within the model.
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: Option<Digest>,
}

impl From<&ModelFile> for Wanted {
    fn from(file: &ModelFile) -> Self {
        let ModelFile { name, size_bytes, sha256 } = file.clone();
        Self { name, size_bytes, sha256: Some(sha256) }
    }
}

/// A model that was found in a store.
pub(super) struct Found {
    pub(super) pinned: PinnedModel,
    /// What people call it, where the store says so.
    pub(super) version: Option<String>,
    pub(super) files: Vec<Wanted>,
    pub(super) source: Box<dyn ModelSource>,
}

/// The files of a listing that are part of the model, in order of names.
pub(super) fn model_files(
    shown: &str,
    listed: impl IntoIterator<Item = Wanted>,
) -> Result<Vec<Wanted>, ModelError> {
    let path = || shown.to_owned();
    let mut files: Vec<Wanted> = Vec::new();
    for file in listed {
        if !is_model_file(&file.name) {
            continue;
        }
        if !is_plain_name(&file.name) {
            let name = file.name.escape_debug().take(200).collect();
            return Err(ModelError::OddName { path: path(), name });
        }
        files.push(file);
        if files.len() > FILES_MAX {
            return Err(ModelError::TooMany { path: path(), what: "files", limit: FILES_MAX });
        }
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    files.dedup_by(|a, b| a.name == b.name);
    if !is_described(files.iter().map(|file| file.name.as_str())) {
        return Err(ModelError::NoConfig { path: path() });
    }
    check_size(shown, &files)?;
    Ok(files)
}

/// Refuses what is larger than any model.
pub(super) fn check_size(shown: &str, files: &[Wanted]) -> Result<u64, ModelError> {
    let size_bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size_bytes));
    if size_bytes > MODEL_MAX_BYTES {
        let (path, limit_bytes) = (shown.to_owned(), MODEL_MAX_BYTES);
        return Err(ModelError::TooLarge { path, size_bytes, limit_bytes });
    }
    Ok(size_bytes)
}

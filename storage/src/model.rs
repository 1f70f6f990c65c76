//! Finding a model, saying exactly which one it is, and having it on a disk of this host.
//!
//! [`Models::resolve`] turns the reference that a user wrote into an identity, once per run: an
//! alias becomes a version, a branch a commit, and what is not on a volume is fetched.
//! [`Models::fetch`] has the model of such an identity at hand, wherever a run goes on. Both end in
//! a folder whose files have the digest.
//!
//! The digest of a model is one that a user can check with ordinary tools:
//!
//! ```sh
//! cd DIR && sha256sum config.json model.safetensors | sha256sum
//! ```
//!
//! with every file that [`is_model_file`](nightshift_core::model::is_model_file) takes, in order of
//! names (`LC_ALL=C`).
//!
//! In the order of a fetch: `settings` says how stores are reached, `finding` asks the right one,
//! `hub`, `registry` and `bucket` find the files (over `http`, with `patience`), `download` takes
//! one, `cache` keeps them, `folder` and `memo` hash what is there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightshift_core::ids::Digest;
use nightshift_core::model::{ModelUri, PinnedModel};
use nightshift_core::plan::{ModelFile, ModelIdentity};

mod bucket;
mod cache;
mod download;
mod error;
mod features;
mod finding;
mod folder;
mod http;
mod hub;
mod memo;
mod onnx;
mod patience;
mod registry;
mod settings;
mod source;

pub use error::ModelError;
pub use features::feature_columns;
pub use onnx::graph_columns;
pub use patience::Patience;
pub use settings::{ModelSettings, Secret};

pub(crate) use http::use_ring;

use cache::{Cache, Key};
use finding::{PinnedSource, Target};
use folder::{digest_of, hash_directory};
use memo::Memo;
use source::{Found, ModelSource, Wanted};

/// Models of one process: where they come from, and what is known about them already.
#[derive(Debug, Clone)]
pub struct Models {
    settings: Arc<ModelSettings>,
    cache: Cache,
    memo: Arc<Memo>,
}

/// A model that was found, and is at hand.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What it is.
    pub identity: ModelIdentity,
    /// A folder of this host with its files.
    pub folder: PathBuf,
}

impl Models {
    /// Models that are reached as `settings` says.
    pub fn new(settings: ModelSettings) -> Self {
        let cache = Cache::new(&settings.cache);
        Self { settings: Arc::new(settings), cache, memo: Arc::default() }
    }

    /// Models that are reached as the environment says.
    pub fn from_env() -> Self {
        Self::new(ModelSettings::from_env())
    }

    /// Finds out which model `uri` names now, and has it at hand. `version` is what the spec calls
    /// it; without that, it is called what its store calls it.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub async fn resolve(
        &self,
        uri: &ModelUri,
        version: Option<&str>,
    ) -> Result<Resolved, ModelError> {
        let (files, folder, pinned, known_as) = match finding::find(&self.settings, uri).await? {
            Target::Folder { folder, pinned, version } => {
                (self.hashed(&folder).await?, folder, pinned, version)
            }
            Target::Store(found) => {
                let (files, folder) = self.taken(&found).await?;
                (files, folder, Some(found.pinned), found.version)
            }
        };
        let identity = ModelIdentity {
            uri: uri.to_string(),
            version: version.map(str::to_owned).or(known_as),
            pinned,
            digest: digest_of(&files),
            files,
        };
        Ok(Resolved { identity, folder })
    }

    /// Has the model of a plan at hand: exactly the planned one, or an error that names both.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub async fn fetch(&self, identity: &ModelIdentity) -> Result<PathBuf, ModelError> {
        let folders = match &identity.pinned {
            None => vec![finding::real_folder(&identity.uri)?.1],
            // On another host the link may lead elsewhere, and still to the same model.
            Some(PinnedModel::Folder { path }) => {
                vec![PathBuf::from(path), finding::real_folder(&identity.uri)?.1]
            }
            Some(pinned) => match finding::source_of(&self.settings, pinned)? {
                PinnedSource::Folder(folder) => vec![folder],
                PinnedSource::Store(source) => {
                    return self.fetch_from(identity, pinned, &*source).await;
                }
            },
        };
        let mut refused = None;
        for folder in folders {
            refused = Some(match self.hashed(&folder).await {
                Ok(files) if digest_of(&files) == identity.digest => return Ok(folder),
                Ok(files) => ModelError::Changed {
                    path: folder.display().to_string(),
                    planned: identity.digest,
                    found: digest_of(&files),
                },
                Err(error) => error,
            });
        }
        Err(refused.unwrap_or_else(|| ModelError::Missing { path: identity.uri.clone() }))
    }

    /// The planned files, from the cache or from `source`.
    async fn fetch_from(
        &self,
        identity: &ModelIdentity,
        pinned: &PinnedModel,
        source: &dyn ModelSource,
    ) -> Result<PathBuf, ModelError> {
        if let Some(folder) = self.cached(identity.digest).await? {
            return Ok(folder);
        }
        let wanted: Vec<Wanted> = identity.files.iter().map(Wanted::from).collect();
        let key = Key::of(pinned);
        let fetched = self.cache.fetch(&key, &wanted, source, self.settings.patience);
        match fetched.await {
            Ok((files, folder)) if digest_of(&files) == identity.digest => Ok(folder),
            Ok((files, _)) => Err(ModelError::Changed {
                path: pinned.to_string(),
                planned: identity.digest,
                found: digest_of(&files),
            }),
            Err(ModelError::WrongBytes { file, path, listed, found }) => {
                Err(ModelError::FileChanged { file, path, planned: listed, found })
            }
            Err(error) => Err(error),
        }
    }

    /// What was found in a store, from the cache or from there.
    async fn taken(&self, found: &Found) -> Result<(Vec<ModelFile>, PathBuf), ModelError> {
        let key = Key::of(&found.pinned);
        if let Some(files) = self.cache.known(&key, &found.files)
            && let Some(folder) = self.cached(digest_of(&files)).await?
        {
            return Ok((files, folder));
        }
        self.cache.fetch(&key, &found.files, &*found.source, self.settings.patience).await
    }

    async fn cached(&self, digest: Digest) -> Result<Option<PathBuf>, ModelError> {
        let (cache, memo) = (self.cache.clone(), Arc::clone(&self.memo));
        hashing(move || cache.find(digest, &memo)).await
    }

    async fn hashed(&self, folder: &Path) -> Result<Vec<ModelFile>, ModelError> {
        let (folder, memo) = (folder.to_owned(), Arc::clone(&self.memo));
        hashing(move || hash_directory(&folder, &memo)).await
    }
}

/// Hashing takes as long as reading: not on the runtime's threads.
async fn hashing<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| {
        let source = io::Error::other(error);
        Err(ModelError::Unreadable { path: "the files".to_owned(), source })
    })
}

#[cfg(test)]
mod tests;

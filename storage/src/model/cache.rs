//! Models that were fetched, on a disk of this host.
//!
//! ```text
//! v1/models/<digest>/…     a whole model; its name is its digest
//! v1/known/<key>.json      the files of a pinned reference that was fetched before
//! v1/locks/<key>           held by whoever fetches it
//! v1/partial/<key>/…       what has come so far
//! ```
//!
//! A model gets its place by one rename, so that a process that is killed leaves no half model;
//! whoever takes its lock next begins anew. Nothing is synced: after a crash of the machine a model
//! may be damaged, and since every model is hashed before it is used, it is fetched again.
//! Everything here may be deleted while no process uses it.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_core::ids::Digest;
use nightshift_core::model::{PinnedModel, is_model_file};
use nightshift_core::plan::ModelFile;
use sha2::{Digest as _, Sha256};

use super::ModelError;
use super::download::download;
use super::folder::{digest_of, hash_directory};
use super::memo::Memo;
use super::patience::Patience;
use super::source::{FILES_MAX, ModelSource, Wanted, check_size};

/// Between two looks at a lock that another process holds. Locks of files have no way to wait that
/// can be ended.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// Largest note about a reference: [`FILES_MAX`] files with long names.
const KNOWN_MAX_BYTES: u64 = 4 << 20;

/// Fetched models in one folder.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

/// The name of a pinned reference in the cache.
#[derive(Debug, Clone)]
pub(super) struct Key(Digest);

impl Key {
    pub(super) fn of(pinned: &PinnedModel) -> Self {
        // Without maps, JSON of one value is always the same bytes, and it cannot fail.
        let text = serde_json::to_vec(pinned).unwrap_or_default();
        Self(Digest(Sha256::digest(text).into()))
    }
}

impl Cache {
    /// The cache in `folder`, which is made when it is needed.
    pub(super) fn new(folder: &Path) -> Self {
        Self { root: folder.join("v1") }
    }

    /// The model with `digest`, if it is there and undamaged; a damaged one is removed. Blocks.
    pub(super) fn find(&self, digest: Digest, memo: &Memo) -> Result<Option<PathBuf>, ModelError> {
        let folder = self.model(digest);
        match hash_directory(&folder, memo) {
            Ok(files) if digest_of(&files) == digest => Ok(Some(folder)),
            Err(ModelError::Missing { .. }) => Ok(None),
            Ok(_) | Err(ModelError::NoConfig { .. } | ModelError::NotADirectory { .. }) => {
                tracing::warn!(path = %folder.display(), "a damaged model is removed from the cache");
                remove(&folder)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What `key` led to before, if it is what `wanted` lists.
    pub(super) fn known(&self, key: &Key, wanted: &[Wanted]) -> Option<Vec<ModelFile>> {
        let path = self.note(key);
        if path.metadata().ok()?.len() > KNOWN_MAX_BYTES {
            return None;
        }
        let files: Vec<ModelFile> = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let same = files.len() == wanted.len()
            && files.iter().zip(wanted).all(|(file, wanted)| {
                file.name == wanted.name
                    && file.size_bytes == wanted.size_bytes
                    && wanted.sha256.is_none_or(|listed| listed == file.sha256)
            });
        same.then_some(files)
    }

    /// Fetches `wanted` from `source` and gives its files, its digest and its folder. One process at
    /// a time fetches a key; the others find it done.
    pub(super) async fn fetch(
        &self,
        key: &Key,
        wanted: &[Wanted],
        source: &dyn ModelSource,
        patience: Patience,
    ) -> Result<(Vec<ModelFile>, PathBuf), ModelError> {
        let shown = &source.asked().what;
        if wanted.len() > FILES_MAX || !wanted.iter().all(|file| is_model_file(&file.name)) {
            let problem = "it names files that are no part of a model".to_owned();
            return Err(ModelError::Answer { what: shown.clone(), problem });
        }
        let needed_bytes = check_size(shown, wanted)?;
        let _lock = self.lock(key).await?;
        // Whoever had the lock before may have fetched it.
        let known = self.known(key, wanted).map(|files| (self.model(digest_of(&files)), files));
        if let Some((folder, files)) = known.filter(|(folder, _)| folder.is_dir()) {
            return Ok((files, folder));
        }
        self.check_room(needed_bytes)?;
        let partial = self.root.join("partial").join(key.0.to_string());
        remove(&partial)?;
        tracing::info!(what = shown, bytes = needed_bytes, "fetching a model");
        let mut files = Vec::new();
        for one in wanted {
            let to = partial.join(&one.name);
            make_folder(to.parent().unwrap_or(&partial))?;
            files.push(download(source, one, &to, patience).await?);
        }
        let folder = self.put(&partial, digest_of(&files))?;
        self.note_down(key, &files)?;
        Ok((files, folder))
    }

    /// Gives a complete model its place, unless it has one.
    fn put(&self, partial: &Path, digest: Digest) -> Result<PathBuf, ModelError> {
        let folder = self.model(digest);
        make_folder(&self.root.join("models"))?;
        match fs::rename(partial, &folder) {
            Ok(()) => {}
            // Another reference leads to the same model.
            Err(_) if folder.is_dir() => remove(partial)?,
            Err(error) => return Err(ModelError::cache("create", &folder, 0, error)),
        }
        Ok(folder)
    }

    /// Remembers what `key` leads to. A note that is torn is no JSON, and ignored.
    fn note_down(&self, key: &Key, files: &[ModelFile]) -> Result<(), ModelError> {
        let path = self.note(key);
        make_folder(&self.root.join("known"))?;
        let text = serde_json::to_vec(files).unwrap_or_default();
        let size_bytes = text.len() as u64;
        fs::write(&path, text).map_err(|error| ModelError::cache("write", &path, size_bytes, error))
    }

    async fn lock(&self, key: &Key) -> Result<File, ModelError> {
        let locks = self.root.join("locks");
        make_folder(&locks)?;
        let path = locks.join(key.0.to_string());
        let failed = |error| ModelError::cache("lock", &path, 0, error);
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    fn check_room(&self, needed_bytes: u64) -> Result<(), ModelError> {
        let looked = rustix::fs::statvfs(&self.root);
        let found = looked.map_err(|error| {
            ModelError::cache("look at", &self.root, needed_bytes, error.into())
        })?;
        if found.f_bavail.saturating_mul(found.f_frsize) < needed_bytes {
            let path = self.root.display().to_string();
            return Err(ModelError::CacheFull { path, needed_bytes });
        }
        Ok(())
    }

    fn model(&self, digest: Digest) -> PathBuf {
        self.root.join("models").join(digest.to_string())
    }

    fn note(&self, key: &Key) -> PathBuf {
        self.root.join("known").join(format!("{}.json", key.0))
    }
}

/// Makes a folder that only this user can look into: a model may be a secret.
fn make_folder(path: &Path) -> Result<(), ModelError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(|error| ModelError::cache("create", path, 0, error))
}

fn remove(path: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ModelError::cache("remove", path, 0, error))
        }
        _ => Ok(()),
    }
}

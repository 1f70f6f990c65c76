//! Visible files of a bucket: copies that the server makes of staged ones.
//!
//! A copy replaces what has the name, so that whoever repairs looks first: what is there already is
//! the committed content, or a stranger's, which stays. Who has just won does not. Only the committed attempt's files are ever
//! copied to a name, so that two processes that do it at once, or one that does it late, make the
//! same bytes.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use futures::{StreamExt, TryStreamExt};
use nightshift_core::ids::{Digest, RunId};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Planned;
use object_store::{Error, ObjectStoreExt};
use sha2::{Digest as _, Sha256};

use super::{Publication, VisibleState};
use crate::error::StoreError;
use crate::root::{Medium, Reader, key};

pub(super) async fn copy(root: &Reader, files: &[Publication]) -> Result<(), StoreError> {
    for file in files {
        match size(root, &file.visible).await? {
            Some(_) => accept(root, file).await?,
            None => place(root, file).await?,
        }
    }
    Ok(())
}

pub(super) async fn place(root: &Reader, file: &Publication) -> Result<(), StoreError> {
    let copied = root.store().copy(&key(&file.staged), &key(&file.visible)).await;
    match copied {
        Ok(()) => Ok(()),
        // Collected after it was published, or it never was there.
        Err(Error::NotFound { .. }) => accept(root, file).await,
        // The copy may have been made all the same.
        Err(error) => match size(root, &file.visible).await {
            Ok(Some(_)) => accept(root, file).await,
            _ => Err(StoreError::from_store("publish", key(&file.visible), error)),
        },
    }
}

/// Accepts what is there under the visible name, if it has the content that the record names.
async fn accept(root: &Reader, file: &Publication) -> Result<(), StoreError> {
    match hash(root, &file.visible).await? {
        Some((size_bytes, sha256)) if (size_bytes, sha256) == (file.size_bytes, file.sha256) => {
            Ok(())
        }
        Some(_) => Err(StoreError::VisibleDiffers {
            visible: root.uri_of(&file.visible),
            staged: root.uri_of(&file.staged),
        }),
        None => Err(StoreError::StagedMissing {
            path: root.uri_of(&file.staged),
            visible: root.uri_of(&file.visible),
        }),
    }
}

pub(super) async fn look(
    root: &Reader,
    files: &[(Object, u64)],
) -> Result<Vec<VisibleState>, StoreError> {
    let mut states = Vec::with_capacity(files.len());
    for (object, size_bytes) in files {
        states.push(match size(root, object).await? {
            Some(found) if found == *size_bytes => VisibleState::Right,
            Some(found_bytes) => VisibleState::WrongSize { found_bytes },
            None => VisibleState::Missing,
        });
    }
    Ok(states)
}

/// Length of an object; none if it does not exist.
async fn size(root: &Reader, object: &Object) -> Result<Option<u64>, StoreError> {
    let path = key(object);
    match root.store().head(&path).await {
        Ok(found) => Ok(Some(found.size)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(StoreError::from_store("look at", path, error)),
    }
}

/// Length and SHA-256 of an object, read with bounded memory; none if it does not exist.
pub(super) async fn hash(
    root: &Reader,
    object: &Object,
) -> Result<Option<(u64, Digest)>, StoreError> {
    let path = key(object);
    let failed = |error| StoreError::from_store("read", &path, error);
    let mut bytes = match root.store().get(&path).await {
        Ok(found) => found.into_stream(),
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let (mut hash, mut size_bytes) = (Sha256::new(), 0_u64);
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(failed)?;
        hash.update(&chunk);
        size_bytes += chunk.len() as u64;
    }
    Ok(Some((size_bytes, Digest(hash.finalize().into()))))
}

/// The visible files of a run in a bucket, from one listing: 8 bytes a shard. On a volume a look
/// at each file costs less.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    parts: Vec<Option<NonZeroU64>>,
    rejects: BTreeMap<u32, u64>,
}

impl Seen {
    /// What is visible of the run of `plan`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn of(root: &Reader, plan: &impl Planned) -> Result<Self, StoreError> {
        let mut seen = Self::default();
        if let Medium::Volume(_) = root.medium() {
            return Ok(seen);
        }
        let RunId { partition, generation, .. } = *plan.run();
        let mut listed = root.list(&Prefix::Visible(partition, generation));
        while let Some(one) = listed.try_next().await? {
            match one.object {
                Some(object @ Object::Part { shard, .. })
                    if shard.0 < plan.shard_count() && object == Object::part(plan, shard) =>
                {
                    let at = shard.0 as usize;
                    if seen.parts.len() <= at {
                        seen.parts.resize(at + 1, None);
                    }
                    if let Some(part) = seen.parts.get_mut(at) {
                        *part = NonZeroU64::new(one.size_bytes);
                    }
                }
                Some(object @ Object::Rejects { shard, .. })
                    if object == Object::rejects(plan, shard) =>
                {
                    seen.rejects.insert(shard.0, one.size_bytes);
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    /// Whether all of `files` were seen with their sizes.
    pub(crate) fn has(&self, files: &[Publication]) -> bool {
        files.iter().all(|file| match &file.visible {
            Object::Part { shard, .. } => {
                let found = self.parts.get(shard.0 as usize).copied().flatten();
                found.is_some_and(|found| found.get() == file.size_bytes)
            }
            Object::Rejects { shard, .. } => self.rejects.get(&shard.0) == Some(&file.size_bytes),
            _ => false,
        })
    }
}

//! Names of files that go together, and how many bytes that frees.
//!
//! On a volume a visible file and its staged file are one file with two names, an inherited one
//! has a name in each generation. Bytes are free when the last name is gone, so what is counted
//! is a file all of whose names go.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nightshift_core::layout::Object;
use object_store::{Error, ObjectStoreExt};

use crate::error::StoreError;
use crate::root::{Medium, Reader, blocking, key};

/// Whether files are removed, or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Look,
    Remove,
}

/// What became of some names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) files: u64,
    pub(super) freed_bytes: u64,
}

impl Counted {
    pub(super) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.freed_bytes += other.freed_bytes;
    }
}

/// One name that goes, and the run (by its place in a list) for which it is counted.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) object: Object,
    pub(super) owner: usize,
}

/// Counts the names of one shard for each owner, and removes them if the hand is to. A name
/// that another collector has removed meanwhile counts nothing.
///
/// # Errors
/// The errors of the volume; names may have gone before.
pub(super) async fn take(
    root: &Reader,
    names: Vec<Name>,
    owners: usize,
    hand: Hand,
) -> Result<Vec<Counted>, StoreError> {
    if let Medium::Bucket(_) = root.medium() {
        return take_objects(root, names, owners, hand).await;
    }
    let names: Vec<(PathBuf, usize)> =
        names.into_iter().map(|name| (root.path_of(&name.object), name.owner)).collect();
    blocking(move || {
        let mut counted = vec![Counted::default(); owners];
        // Names that go of each file, by device and inode.
        let mut going: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (path, owner) in names {
            let found = match path.symlink_metadata() {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::from_io("look at", &path, error)),
            };
            let names = going.entry((found.dev(), found.ino())).or_default();
            *names += 1;
            // A removed name is no link any more; one that is only looked at still is.
            let last = match hand {
                Hand::Look => found.nlink() == *names,
                Hand::Remove => found.nlink() == 1,
            };
            if hand == Hand::Remove && !removed(&path)? {
                continue;
            }
            if let Some(counted) = counted.get_mut(owner) {
                let freed_bytes = if last { found.len() } else { 0 };
                counted.add(Counted { files: 1, freed_bytes });
            }
        }
        Ok(counted)
    })
    .await
}

/// The same in a bucket, where every name has bytes of its own.
async fn take_objects(
    root: &Reader,
    names: Vec<Name>,
    owners: usize,
    hand: Hand,
) -> Result<Vec<Counted>, StoreError> {
    let mut counted = vec![Counted::default(); owners];
    for Name { object, owner } in names {
        let path = key(&object);
        let freed_bytes = match root.store().head(&path).await {
            Ok(found) => found.size,
            Err(Error::NotFound { .. }) => continue,
            Err(error) => return Err(StoreError::from_store("look at", &path, error)),
        };
        if hand == Hand::Remove {
            match root.store().delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(StoreError::from_store("remove", &path, error)),
            }
        }
        if let Some(counted) = counted.get_mut(owner) {
            counted.add(Counted { files: 1, freed_bytes });
        }
    }
    Ok(counted)
}

/// Removes one name; false if it was gone.
fn removed(path: &std::path::Path) -> Result<bool, StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::from_io("remove", path, error)),
    }
}

/// Removes the empty folders below `directory`, and the folder itself if nothing is left in it.
/// Blocks.
///
/// # Errors
/// The errors of the volume.
pub(super) fn prune(directory: &std::path::Path, depth: u32) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::from_io("list", directory, error)),
    };
    if depth > 0 {
        for entry in entries {
            let entry = entry.map_err(|error| StoreError::from_io("list", directory, error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                prune(&entry.path(), depth - 1)?;
            }
        }
    }
    match std::fs::remove_dir(directory) {
        Ok(()) => Ok(()),
        // Something is in it, which is somebody's, or another collector was faster.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(StoreError::from_io("remove", directory, error)),
    }
}

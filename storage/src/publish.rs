//! Publishing: the committed attempt's files get the names that people read.
//!
//! On a volume a visible file is a second link to the staged one, made only if the name is
//! free: no bytes are copied, readers see all of it or nothing, and doing it again, by anybody,
//! after a crash at any point, ends the same way. Where there are no links the file is moved.
//! In a bucket it is a copy that the server makes (`copying`), which readers see as a whole, too.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nightshift_core::ids::Digest;
use nightshift_core::layout::Object;
use nightshift_core::settle::CommitPermit;
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::root::{Directory, Medium, Probed, Reader, blocking};
use crate::volume::place;

mod copying;

pub(crate) use copying::Seen;

/// Bytes read at a time when a file is hashed.
const HASH_CHUNK_BYTES: usize = 256 << 10;

/// One staged file and the name that it gets, as a committed record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The staged file.
    pub staged: Object,
    /// The visible name.
    pub visible: Object,
    /// Length in bytes, from the record.
    pub size_bytes: u64,
    /// SHA-256 of the content, from the record.
    pub sha256: Digest,
}

/// What is there under a visible name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisibleState {
    /// A file of the right size.
    Right,
    /// Nothing.
    Missing,
    /// A file of another size.
    WrongSize {
        /// Its size.
        found_bytes: u64,
    },
}

impl Probed {
    /// Makes the visible files of one shard, durably. Safe to repeat, and to do from several
    /// processes at once.
    ///
    /// # Errors
    /// [`StoreError::NotPermitted`] if a file is not the permit's,
    /// [`StoreError::VisibleDiffers`] if the name is taken by other content,
    /// [`StoreError::StagedMissing`] and [`StoreError::StagedDamaged`] if there is nothing right
    /// to publish, and the errors of the volume.
    pub async fn publish(
        &self,
        permit: &CommitPermit,
        files: &[Publication],
    ) -> Result<(), StoreError> {
        files.iter().try_for_each(|file| check_permit(permit, file))?;
        match self.medium() {
            Medium::Volume(directory) => link(directory, files).await,
            Medium::Bucket(_) => copying::copy(self, files).await,
        }
    }

    /// The same for a permit that was won a moment ago. A bucket is not asked first whether the
    /// names are free, which is a request for each: under them are the same bytes, or nothing.
    ///
    /// # Errors
    /// As [`Probed::publish`]; in a bucket, what a stranger put under a name is replaced.
    pub async fn publish_won(
        &self,
        permit: &CommitPermit,
        files: &[Publication],
    ) -> Result<(), StoreError> {
        match self.medium() {
            Medium::Volume(_) => self.publish(permit, files).await,
            Medium::Bucket(_) => {
                files.iter().try_for_each(|file| check_permit(permit, file))?;
                for file in files {
                    copying::place(self, file).await?;
                }
                Ok(())
            }
        }
    }
}

/// Makes the visible files of a volume.
async fn link(root: &Directory, files: &[Publication]) -> Result<(), StoreError> {
    let mut work = Vec::with_capacity(files.len());
    let mut directories: Vec<PathBuf> = Vec::new();
    for file in files {
        let job = Job {
            staged: root.path.join(file.staged.path()),
            visible: root.path.join(file.visible.path()),
            size_bytes: file.size_bytes,
            sha256: file.sha256,
        };
        if let Some(directory) = job.visible.parent()
            && !directories.iter().any(|known| known == directory)
        {
            directories.push(directory.to_path_buf());
        }
        work.push(job);
    }
    blocking(move || work.iter().try_for_each(Job::run)).await?;
    for directory in &directories {
        let synced = root.syncer.sync_entries(directory).await;
        synced.map_err(|source| StoreError::from_io("sync", directory, source))?;
    }
    Ok(())
}

impl Reader {
    /// Looks whether visible files exist with the sizes that the records name, in the order
    /// given.
    ///
    /// # Errors
    /// The errors of the volume.
    pub async fn verify_visible(
        &self,
        files: Vec<(Object, u64)>,
    ) -> Result<Vec<VisibleState>, StoreError> {
        if let Medium::Bucket(_) = self.medium() {
            return copying::look(self, &files).await;
        }
        let files: Vec<(PathBuf, u64)> =
            files.into_iter().map(|(object, size)| (self.path_of(&object), size)).collect();
        blocking(move || {
            let state = |(path, size_bytes): &(PathBuf, u64)| match path.metadata() {
                Ok(found) if found.is_file() && found.len() == *size_bytes => {
                    Ok(VisibleState::Right)
                }
                Ok(found) => Ok(VisibleState::WrongSize { found_bytes: found.len() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(VisibleState::Missing),
                Err(error) => Err(StoreError::from_io("look at", path, error)),
            };
            files.iter().map(state).collect()
        })
        .await
    }

    /// Length and SHA-256 of an object, read in full with bounded memory; none if it does not
    /// exist.
    ///
    /// # Errors
    /// The errors of the volume.
    pub async fn digest(&self, object: &Object) -> Result<Option<(u64, Digest)>, StoreError> {
        if let Medium::Bucket(_) = self.medium() {
            return copying::hash(self, object).await;
        }
        let path = self.path_of(object);
        blocking(move || match hash_file(&path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::from_io("read", &path, error)),
        })
        .await
    }
}

/// The permit must be for the staged file's attempt, and for a data or rejects file of the same
/// shard. The run of the visible file may be a later one, which inherits the shard.
fn check_permit(permit: &CommitPermit, file: &Publication) -> Result<(), StoreError> {
    let Publication { staged, visible, .. } = file;
    let own = matches!(staged, Object::Staged { run, shard, attempt, .. }
        if run == permit.run() && *shard == permit.shard() && attempt == permit.attempt());
    let partition = permit.run().partition;
    let same_shard = match visible {
        Object::Part { shard, partition: visible, .. }
        | Object::Rejects { shard, partition: visible, .. } => {
            *shard == permit.shard() && *visible == partition
        }
        _ => false,
    };
    if own && same_shard {
        return Ok(());
    }
    Err(StoreError::NotPermitted {
        run: permit.run().clone(),
        shard: permit.shard(),
        staged: staged.path(),
        visible: visible.path(),
    })
}

/// One file to publish.
struct Job {
    staged: PathBuf,
    visible: PathBuf,
    size_bytes: u64,
    sha256: Digest,
}

impl Job {
    fn run(&self) -> Result<(), StoreError> {
        match self.staged.metadata() {
            Ok(staged) if staged.len() == self.size_bytes => self.place(),
            Ok(staged) => Err(StoreError::StagedDamaged {
                path: self.staged.display().to_string(),
                found_bytes: staged.len(),
                wanted_bytes: self.size_bytes,
            }),
            // Published by a move, or collected after it was published.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.accept_existing(),
            Err(error) => Err(StoreError::from_io("look at", &self.staged, error)),
        }
    }

    fn place(&self) -> Result<(), StoreError> {
        let mut placed = place(&self.staged, &self.visible);
        if let (Err(error), Some(directory)) = (&placed, self.visible.parent())
            && error.kind() == io::ErrorKind::NotFound
        {
            placed = std::fs::create_dir_all(directory)
                .and_then(|()| place(&self.staged, &self.visible));
        }
        match placed {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    // NotFound: another process moved the staged file in the meantime.
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) =>
            {
                self.accept_existing()
            }
            Err(error) => Err(StoreError::from_io("publish", &self.visible, error)),
        }
    }

    /// Accepts what is there under the visible name, if it is the same file or has the content
    /// that the record names.
    fn accept_existing(&self) -> Result<(), StoreError> {
        let looked = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::StagedMissing {
                path: self.staged.display().to_string(),
                visible: self.visible.display().to_string(),
            },
            _ => StoreError::from_io("read", &self.visible, error),
        };
        let visible = self.visible.metadata().map_err(looked)?;
        let right = visible.is_file()
            && visible.len() == self.size_bytes
            && (self.is_link(&visible)
                || hash_file(&self.visible).map_err(looked)?.1 == self.sha256);
        if right {
            return Ok(());
        }
        Err(StoreError::VisibleDiffers {
            visible: self.visible.display().to_string(),
            staged: self.staged.display().to_string(),
        })
    }

    fn is_link(&self, visible: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.staged
            .metadata()
            .is_ok_and(|staged| staged.dev() == visible.dev() && staged.ino() == visible.ino())
    }
}

/// Length and SHA-256 of a file. Blocks.
pub(crate) fn hash_file(path: &Path) -> io::Result<(u64, Digest)> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0_u8; HASH_CHUNK_BYTES];
    let (mut hash, mut size_bytes) = (Sha256::new(), 0_u64);
    loop {
        let read = match file.read(&mut chunk) {
            Ok(0) => return Ok((size_bytes, Digest(hash.finalize().into()))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Some(bytes) = chunk.get(..read) {
            hash.update(bytes);
        }
        size_bytes += read as u64;
    }
}

#[cfg(test)]
mod tests;

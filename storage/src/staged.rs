//! Staged data: what an attempt writes before a record decides whether it counts.
//!
//! Writing is plain and synchronous, for threads that compute: [`Probed::stage`] makes the
//! attempt's directory, [`Staging::create`] a file, and [`StagedFile::finish`] ends it without
//! waiting for the disk. [`Probed::seal`] then makes the files and every directory entry that
//! leads to them durable. Only what is [`Sealed`] can be named in a record.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use nightshift_core::ids::{AttemptId, Digest, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix, StagedName};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::root::{Probed, blocking};

/// Bytes that are gathered before they are hashed and written: large enough to make calls
/// rare, small enough to stay in a core's cache between the two.
const BUFFER_BYTES: usize = 256 << 10;

/// The directory of one attempt.
#[derive(Debug)]
pub struct Staging {
    directory: PathBuf,
    run: RunId,
    shard: ShardIndex,
    attempt: AttemptId,
}

/// A staged file that is being written.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    object: Object,
    path: PathBuf,
    buffer: Vec<u8>,
    hash: Sha256,
    size_bytes: u64,
    /// The first failure; a file that missed bytes must never be finished.
    failed: Option<io::ErrorKind>,
}

/// A staged file that is complete, and not yet durable. It holds the file open.
#[derive(Debug)]
pub struct StagedObject {
    file: File,
    sealed: SealedFile,
    path: PathBuf,
}

/// A staged file that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// Which file; always an [`Object::Staged`].
    pub object: Object,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// The durable files of one attempt: what a record may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    run: RunId,
    shard: ShardIndex,
    attempt: AttemptId,
    files: Vec<SealedFile>,
}

impl Probed {
    /// Makes the directory in which one attempt at a shard stages its files. Blocks for a few
    /// system calls, without waiting for the disk.
    ///
    /// # Errors
    /// [`StoreError::AttemptReused`] if the attempt has staged before, and the errors of the
    /// volume.
    pub fn stage(
        &self,
        run: &RunId,
        shard: ShardIndex,
        attempt: &AttemptId,
    ) -> Result<Staging, StoreError> {
        let prefix = Prefix::Attempt(run.clone(), shard, attempt.clone());
        let directory = self.path_of_prefix(&prefix);
        let mut made = std::fs::create_dir(&directory);
        if let (Err(error), Some(parent)) = (&made, directory.parent())
            && error.kind() == io::ErrorKind::NotFound
        {
            made = std::fs::create_dir_all(parent).and_then(|()| std::fs::create_dir(&directory));
        }
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                StoreError::AttemptReused { path: directory.display().to_string() }
            }
            _ => StoreError::from_io("create the staging directory", &directory, error),
        })?;
        Ok(Staging { directory, run: run.clone(), shard, attempt: attempt.clone() })
    }

    /// Makes the complete files of one attempt durable, with every directory entry that leads
    /// to them, and checks their sizes. Syncs of shared directories are shared with other
    /// calls that run at the same time.
    ///
    /// # Errors
    /// [`StoreError::InvalidSeal`] for no files or files of several attempts,
    /// [`StoreError::StagedDamaged`] if a file has another size than was written, and the
    /// errors of the volume.
    pub async fn seal(&self, objects: Vec<StagedObject>) -> Result<Sealed, StoreError> {
        let (run, shard, attempt) = owner(&objects)?;
        let prefix = Prefix::Attempt(run.clone(), shard, attempt.clone());
        let attempt_directory = self.path_of_prefix(&prefix);
        let shard_directory = self.path_of_prefix(&Prefix::ShardAttempts(run.clone(), shard));
        let syncer = self.syncer().clone();
        let files = blocking(move || {
            let mut files = Vec::with_capacity(objects.len());
            for StagedObject { file, sealed, path } in objects {
                let failed = |error| StoreError::from_io("sync", &path, error);
                syncer.sync_file(&file).map_err(failed)?;
                let found_bytes = file.metadata().map_err(failed)?.len();
                if found_bytes != sealed.size_bytes {
                    return Err(StoreError::StagedDamaged {
                        path: path.display().to_string(),
                        found_bytes,
                        wanted_bytes: sealed.size_bytes,
                    });
                }
                files.push(sealed);
            }
            for directory in [attempt_directory, shard_directory] {
                let synced = syncer.sync_own_directory(&directory);
                synced.map_err(|error| StoreError::from_io("sync", &directory, error))?;
            }
            Ok(files)
        })
        .await?;
        let shared = self.path_of_prefix(&Prefix::Attempts(run.clone()));
        let synced = self.syncer().sync_entries(&shared).await;
        synced.map_err(|error| StoreError::from_io("sync", &shared, error))?;
        Ok(Sealed { run, shard, attempt, files })
    }
}

/// The one attempt that all objects belong to.
fn owner(objects: &[StagedObject]) -> Result<(RunId, ShardIndex, AttemptId), StoreError> {
    let invalid = |reason| StoreError::InvalidSeal { reason };
    let mut owner = None;
    for object in objects {
        let Object::Staged { run, shard, attempt, .. } = &object.sealed.object else {
            return Err(invalid("an object is not staged data"));
        };
        let this = (run.clone(), *shard, attempt.clone());
        match &owner {
            None => owner = Some(this),
            Some(owner) if *owner == this => {}
            Some(_) => return Err(invalid("the files belong to several attempts")),
        }
    }
    owner.ok_or_else(|| invalid("an attempt that commits has at least one file"))
}

// === impl Staging ===

impl Staging {
    /// Creates one of the attempt's files. Blocks for one system call.
    ///
    /// # Errors
    /// If the file exists, and the errors of the volume.
    pub fn create(&self, name: StagedName) -> Result<StagedFile, StoreError> {
        let path = self.directory.join(name.to_string());
        let file = File::options().write(true).create_new(true).open(&path);
        Ok(StagedFile {
            file: file.map_err(|error| StoreError::from_io("create", &path, error))?,
            object: Object::Staged {
                run: self.run.clone(),
                shard: self.shard,
                attempt: self.attempt.clone(),
                file: name,
            },
            path,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            hash: Sha256::new(),
            size_bytes: 0,
            failed: None,
        })
    }
}

// === impl StagedFile ===

impl StagedFile {
    /// Bytes taken so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes + self.buffer.len() as u64
    }

    /// Ends the file: writes what is buffered, and gives the length and the digest. Does not
    /// wait for the disk.
    ///
    /// # Errors
    /// The errors of the volume, of this write or an earlier one.
    pub fn finish(mut self) -> Result<StagedObject, StoreError> {
        let failed = |path: &PathBuf, error| StoreError::from_io("write", path, error);
        self.write_buffer().map_err(|error| failed(&self.path, error))?;
        let sealed = SealedFile {
            object: self.object,
            size_bytes: self.size_bytes,
            sha256: Digest(self.hash.finalize().into()),
        };
        Ok(StagedObject { file: self.file, sealed, path: self.path })
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.write_through(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    fn write_through(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(kind) = self.failed {
            return Err(io::Error::new(kind, "an earlier write to this file failed"));
        }
        self.hash.update(bytes);
        if let Err(error) = self.file.write_all(bytes) {
            self.failed = Some(error.kind());
            return Err(error);
        }
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.write_buffer()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.write_through(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    /// Hands the buffered bytes to the system; they are not durable before the seal.
    fn flush(&mut self) -> io::Result<()> {
        self.write_buffer()
    }
}

// === impl StagedObject ===

impl StagedObject {
    /// Which file; always an [`Object::Staged`].
    pub fn object(&self) -> &Object {
        &self.sealed.object
    }

    /// Its length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.sealed.size_bytes
    }

    /// SHA-256 of its content.
    pub fn sha256(&self) -> Digest {
        self.sealed.sha256
    }
}

// === impl Sealed ===

impl Sealed {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The shard.
    pub fn shard(&self) -> ShardIndex {
        self.shard
    }

    /// The attempt.
    pub fn attempt(&self) -> &AttemptId {
        &self.attempt
    }

    /// The files, in the order in which they were given.
    pub fn files(&self) -> &[SealedFile] {
        &self.files
    }
}

#[cfg(test)]
mod tests;

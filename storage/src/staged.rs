//! Staged data: what an attempt writes before a record decides whether it counts.
//!
//! Writing is plain and synchronous, for threads that compute: [`Probed::stage`] makes the
//! attempt's directory, [`Staging::create`] a file, and [`StagedFile::finish`] ends it without
//! waiting for the disk. [`Probed::seal`] then makes the files and every directory entry that
//! leads to them durable. Only what is [`Sealed`] can be named in a record.
//!
//! In a bucket there are no directories: a file is an object that is uploaded, a small one by the
//! seal and a large one while it is written.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nightshift_core::ids::{AttemptId, Digest, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix, StagedName};
use sha2::{Digest as _, Sha256};

use crate::bucket::Bucket;
use crate::bucket::upload::{Ended, Upload};
use crate::error::StoreError;
use crate::root::{Medium, Probed, blocking, key};
use crate::sync::Syncer;

/// Bytes that are gathered before they are hashed and written: large enough to make calls
/// rare, small enough to stay in a core's cache between the two.
const BUFFER_BYTES: usize = 256 << 10;

/// The directory of one attempt.
#[derive(Debug)]
pub struct Staging {
    ground: Ground,
    run: RunId,
    shard: ShardIndex,
    attempt: AttemptId,
}

/// Where the files of an attempt are made.
#[derive(Debug)]
enum Ground {
    Volume(PathBuf),
    Bucket(Arc<Bucket>),
}

/// What takes the bytes of a staged file.
#[derive(Debug)]
enum Sink {
    File(File),
    Upload(Box<Upload>),
}

/// The bytes of a file that is complete.
#[derive(Debug)]
enum Whole {
    File(File),
    Upload(Box<Ended>),
}

/// A staged file that is being written.
#[derive(Debug)]
pub struct StagedFile {
    sink: Sink,
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
    whole: Whole,
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
        let begin = |ground| Staging { ground, run: run.clone(), shard, attempt: attempt.clone() };
        let prefix = Prefix::Attempt(run.clone(), shard, attempt.clone());
        let directory = match self.medium() {
            Medium::Volume(root) => root.path.join(prefix.path()),
            Medium::Bucket(bucket) => return Ok(begin(Ground::Bucket(Arc::clone(bucket)))),
        };
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
        Ok(begin(Ground::Volume(directory)))
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
        let files = match self.medium() {
            Medium::Volume(root) => {
                let attempt = Prefix::Attempt(run.clone(), shard, attempt.clone());
                let shard = Prefix::ShardAttempts(run.clone(), shard);
                let own = [attempt, shard].map(|prefix| root.path.join(prefix.path()));
                let shared = root.path.join(Prefix::Attempts(run.clone()).path());
                seal_files(&root.syncer, objects, own, &shared).await?
            }
            Medium::Bucket(_) => place_objects(objects).await?,
        };
        Ok(Sealed { run, shard, attempt, files })
    }
}

/// Syncs the files of an attempt, their `own` directories and the `shared` one above.
async fn seal_files(
    syncer: &Arc<Syncer>,
    objects: Vec<StagedObject>,
    own: [PathBuf; 2],
    shared: &Path,
) -> Result<Vec<SealedFile>, StoreError> {
    let file_syncer = Arc::clone(syncer);
    let files = blocking(move || {
        let mut files = Vec::with_capacity(objects.len());
        for StagedObject { whole, sealed, path } in objects {
            let Whole::File(file) = whole else {
                return Err(StoreError::InvalidSeal { reason: "a file is of another root" });
            };
            let failed = |error| StoreError::from_io("sync", &path, error);
            file_syncer.sync_file(&file).map_err(failed)?;
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
        for directory in own {
            let synced = file_syncer.sync_own_directory(&directory);
            synced.map_err(|error| StoreError::from_io("sync", &directory, error))?;
        }
        Ok(files)
    })
    .await?;
    let synced = syncer.sync_entries(shared).await;
    synced.map_err(|error| StoreError::from_io("sync", shared, error))?;
    Ok(files)
}

/// Gives the objects of an attempt their staged names.
async fn place_objects(objects: Vec<StagedObject>) -> Result<Vec<SealedFile>, StoreError> {
    let mut files = Vec::with_capacity(objects.len());
    for StagedObject { whole, sealed, .. } in objects {
        let Whole::Upload(ended) = whole else {
            return Err(StoreError::InvalidSeal { reason: "a file is of another root" });
        };
        ended.place().await?;
        files.push(sealed);
    }
    Ok(files)
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
        let object = Object::Staged {
            run: self.run.clone(),
            shard: self.shard,
            attempt: self.attempt.clone(),
            file: name,
        };
        let (sink, path) = match &self.ground {
            Ground::Volume(directory) => {
                let path = directory.join(name.to_string());
                let file = File::options().write(true).create_new(true).open(&path);
                let file = file.map_err(|error| StoreError::from_io("create", &path, error))?;
                (Sink::File(file), path)
            }
            Ground::Bucket(bucket) => {
                let upload = Upload::begin(bucket, key(&object));
                (Sink::Upload(Box::new(upload)), PathBuf::from(object.path()))
            }
        };
        Ok(StagedFile {
            sink,
            object,
            path,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            hash: Sha256::new(),
            size_bytes: 0,
            failed: None,
        })
    }
}

impl Sink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Upload(upload) => upload.write_all(bytes),
        }
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
        let whole = match self.sink {
            Sink::File(file) => Whole::File(file),
            Sink::Upload(upload) => Whole::Upload(Box::new(upload.end())),
        };
        Ok(StagedObject { whole, sealed, path: self.path })
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
        if let Err(error) = self.sink.write_all(bytes) {
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

//! A volume as an object store: a directory on a local or mounted file system.
//!
//! [`LocalFileSystem`] does everything except the conditional create, which is done here: a
//! temporary file is written and synced, then linked to its name, then its directory is synced
//! together with those of other creates ([`Syncer`]). Temporary names end in `#<digits>`, which
//! [`LocalFileSystem`] leaves out of listings and refuses to address.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use thiserror::Error;

use crate::sync::{Durability, Syncer};

mod reads;

use reads::{SmallFile, SmallReads};

/// Tries to find a free temporary name, or to make a directory that another process removes at
/// the same time. Each is a rare accident; this many in a row is a broken volume.
const ACCIDENTS_MAX: u32 = 16;

/// A failed create on a volume.
#[derive(Debug, Error)]
enum VolumeError {
    /// The name was not made.
    #[error("cannot {what} {}", path.display())]
    Before {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The name was made, and may not be durable. The cause is kept as text: nothing that
    /// looks for the reason of a refusal may find one here.
    #[error("cannot sync the directory of {}: {reason}", path.display())]
    After { path: PathBuf, reason: String },
}

/// A volume. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Volume {
    directory: PathBuf,
    local: LocalFileSystem,
    syncer: Arc<Syncer>,
    reads: Arc<SmallReads>,
    /// Makes temporary names; starts at random so that processes seldom collide.
    temporary: AtomicU64,
}

impl Volume {
    /// The volume at `root`, an existing directory.
    pub(crate) fn new(root: &Path, syncer: Arc<Syncer>) -> object_store::Result<Self> {
        let fsync = syncer.durability() == Durability::Full;
        // 48 random bits: unlikely to collide, far from overflow, and short names.
        let start = (ulid::Ulid::generate().random() & 0xffff_ffff_ffff) as u64;
        Ok(Self {
            directory: root.to_owned(),
            local: LocalFileSystem::new_with_prefix(root)?.with_fsync(fsync),
            syncer,
            reads: Arc::default(),
            temporary: AtomicU64::new(start),
        })
    }

    async fn create(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
    ) -> Result<PutResult, object_store::Error> {
        let path = self.local.path_to_filesystem(location)?;
        let syncer = Arc::clone(&self.syncer);
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let target = path.clone();
        let created = tokio::task::spawn_blocking(move || {
            create_blocking(&target, &payload, number, &syncer)
        });
        created.await?.map_err(|error| error.into_store(location))?;
        if let Some(directory) = path.parent() {
            self.syncer.sync_entries(directory).await.map_err(|source| {
                VolumeError::After { path: path.clone(), reason: source.to_string() }
                    .into_store(location)
            })?;
        }
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }
}

/// Whether all of an object is asked for, whatever its version, and its name is the file's: one
/// without escapes, and none that [`LocalFileSystem`] refuses to address.
fn is_plain(options: &GetOptions, location: &ObjectPath) -> bool {
    let GetOptions {
        if_match: None,
        if_none_match: None,
        if_modified_since: None,
        if_unmodified_since: None,
        range: None,
        version: None,
        head: false,
        ..
    } = options
    else {
        return false;
    };
    !location.as_ref().contains(['%', '#'])
}

/// A small file as the answer to a plain read.
fn whole(location: &ObjectPath, file: SmallFile) -> GetResult {
    let size = file.bytes.len() as u64;
    let meta = ObjectMeta {
        location: location.clone(),
        last_modified: file.modified.into(),
        size,
        // Nobody here reads under a condition.
        e_tag: None,
        version: None,
    };
    let bytes = futures::stream::once(std::future::ready(Ok(file.bytes)));
    GetResult {
        payload: GetResultPayload::Stream(bytes.boxed()),
        meta,
        range: 0..size,
        attributes: Default::default(),
        extensions: Default::default(),
    }
}

/// Writes, syncs and links one small file.
fn create_blocking(
    path: &Path,
    payload: &PutPayload,
    number: u64,
    syncer: &Syncer,
) -> Result<(), VolumeError> {
    let before = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| VolumeError::Before { what, path, source }
    };
    // Most losers find the winner's object here, and write nothing.
    if path.symlink_metadata().is_ok() {
        return Err(before("create", path)(io::ErrorKind::AlreadyExists.into()));
    }
    let (mut file, temporary) =
        open_temporary(path, number).map_err(before("create a temporary file for", path))?;
    let mut write = || {
        payload.iter().try_for_each(|bytes| file.write_all(bytes))?;
        syncer.sync_file(&file)
    };
    let placed = write()
        .map_err(before("write", &temporary))
        .and_then(|()| place(&temporary, path).map_err(before("create", path)));
    if !matches!(placed, Ok(Placed::Moved)) {
        // The temporary file is this call's own, and whether the object exists no longer
        // depends on it. One that stays behind is never listed.
        let _ = std::fs::remove_file(&temporary);
    }
    placed.map(drop)
}

fn open_temporary(path: &Path, first: u64) -> io::Result<(File, PathBuf)> {
    let mut number = first;
    let mut result = Err(io::ErrorKind::NotFound.into());
    for _ in 0..ACCIDENTS_MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        let temporary = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number = number.wrapping_add(1 << 48);
                result = Err(error);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                result = Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    result
}

/// How a file got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// By a second link: the first name still exists.
    Linked,
    /// By a rename: the first name is gone.
    Moved,
}

/// Gives the file at `from` the name `to`, only if nothing has that name.
///
/// # Errors
/// `AlreadyExists` if something has the name; `NotFound` if `from` or the directory is missing.
pub(crate) fn place(from: &Path, to: &Path) -> io::Result<Placed> {
    place_by(|from, to| std::fs::hard_link(from, to), from, to)
}

fn place_by(
    link: impl FnOnce(&Path, &Path) -> io::Result<()>,
    from: &Path,
    to: &Path,
) -> io::Result<Placed> {
    match link(from, to) {
        Ok(()) => Ok(Placed::Linked),
        Err(error) if lacks_links(&error) => {
            // Atomic as well, and as exclusive: the kernel checks the target and renames in
            // one step, or says that this file system cannot.
            renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?;
            Ok(Placed::Moved)
        }
        Err(error) => Err(error),
    }
}

/// Whether a failed link means that the file system has none, or has none left for the file.
fn lacks_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    // link(2): EPERM from file systems without hard links (vfat, some FUSE).
    let codes = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

impl VolumeError {
    fn into_store(self, location: &ObjectPath) -> object_store::Error {
        match self {
            Self::Before { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                object_store::Error::AlreadyExists {
                    path: location.to_string(),
                    source: Box::new(source),
                }
            }
            other => object_store::Error::Generic { store: "volume", source: Box::new(other) },
        }
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {}", self.local)
    }
}

#[async_trait]
impl ObjectStore for Volume {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        match options.mode {
            PutMode::Create => self.create(location, payload).await,
            _ => self.local.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.local.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &ObjectPath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        if is_plain(&options, location) {
            let path = self.directory.join(location.as_ref());
            // What cannot be read as a small file is read again, which says why.
            if let Ok(Some(file)) = self.reads.read(path).await {
                return Ok(whole(location, file));
            }
        }
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &ObjectPath,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<ObjectPath>>,
    ) -> BoxStream<'static, object_store::Result<ObjectPath>> {
        self.local.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> object_store::Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.local.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: RenameOptions,
    ) -> object_store::Result<()> {
        self.local.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests;

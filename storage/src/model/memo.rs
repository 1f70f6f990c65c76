//! Digests that were computed before, so that planning many dates hashes a large model once.

use std::collections::{HashMap, VecDeque};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nightshift_core::ids::Digest;

use super::ModelError;
use crate::publish::hash_file;

/// Files whose digests are remembered; a few hundred bytes each.
const FILES_KEPT: usize = 16_384;

/// A file that was written more recently may be written again within the same tick of a file
/// system's clock, the coarsest of which tick every two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// Digests by what a file system says about a file. Whoever replaces, truncates or appends to a
/// file changes at least one of these; what is loaded is checked again anyway.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    digests: HashMap<Stamp, Digest>,
    oldest_first: VecDeque<Stamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Stamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// Seconds and nanoseconds of the last write and the last change of anything.
    times: [i64; 4],
}

impl Stamp {
    fn of(path: &Path, found: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            size_bytes: found.len(),
            times: [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()],
        }
    }
}

impl Memo {
    /// Size and digest of the file at `path`; blocks. The file is read if it is not known.
    pub(super) fn hash(&self, path: &Path) -> Result<(u64, Digest), ModelError> {
        let unreadable = |source: io::Error| ModelError::unreadable(path, source);
        let before = path.metadata().map_err(unreadable)?;
        let stamp = Stamp::of(path, &before);
        if let Some(digest) = self.get(&stamp) {
            return Ok((stamp.size_bytes, digest));
        }
        let (size_bytes, digest) = hash_file(path).map_err(unreadable)?;
        let after = Stamp::of(path, &path.metadata().map_err(unreadable)?);
        if after != stamp || size_bytes != stamp.size_bytes {
            return Err(ModelError::Changing { path: path.display().to_string() });
        }
        let age = before.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > SETTLED) {
            self.put(stamp, digest);
        }
        Ok((size_bytes, digest))
    }

    fn get(&self, stamp: &Stamp) -> Option<Digest> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.digests.get(stamp).copied()
    }

    fn put(&self, stamp: Stamp, digest: Digest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.digests.insert(stamp.clone(), digest).is_none() {
            known.oldest_first.push_back(stamp);
        }
        while known.oldest_first.len() > FILES_KEPT {
            if let Some(oldest) = known.oldest_first.pop_front() {
                known.digests.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    /// Writes a file as if `at`.
    fn write_at(path: &Path, bytes: &[u8], at: SystemTime) {
        fs::write(path, bytes).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn a_file_is_read_once_until_something_about_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, memo) = (folder.path().join("w"), Memo::default());
        let minute_ago = SystemTime::now() - Duration::from_secs(60);
        write_at(&path, b"one", minute_ago);
        let (size_bytes, digest) = memo.hash(&path).unwrap();
        let stamp = Stamp::of(&path, &path.metadata().unwrap());
        assert_eq!((size_bytes, memo.get(&stamp)), (3, Some(digest)));
        // What is remembered is told without reading.
        let other = Digest([7; 32]);
        memo.put(stamp, other);
        assert_eq!(memo.hash(&path).unwrap(), (3, other));
        // Same size and same time of writing: the time of change tells.
        write_at(&path, b"two", minute_ago);
        let (_, changed) = memo.hash(&path).unwrap();
        assert!(changed != other && changed != digest);
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (path, memo) = (folder.path().join("w"), Memo::default());
        fs::write(&path, b"one").unwrap();
        memo.hash(&path).unwrap();
        assert!(memo.known.lock().unwrap().digests.is_empty());
    }

    #[test]
    fn only_so_many_files_are_remembered() {
        let memo = Memo::default();
        let folder = tempfile::tempdir().unwrap();
        let found = folder.path().metadata().unwrap();
        for number in 0..FILES_KEPT + 10 {
            let stamp = Stamp::of(Path::new(&number.to_string()), &found);
            memo.put(stamp, Digest([0; 32]));
        }
        let known = memo.known.lock().unwrap();
        assert_eq!((known.digests.len(), known.oldest_first.len()), (FILES_KEPT, FILES_KEPT));
    }
}

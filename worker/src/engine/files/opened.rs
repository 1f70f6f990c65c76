//! A file of a model that is read where it is wanted, so that it is never in memory as a whole.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nightshift_core::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::open_bounded;
use crate::engine::LoadError;

/// Bytes that are read at a time: as many as stay in the second cache while they are used.
const BLOCK_BYTES: usize = 256 << 10;

/// An open file of weights.
#[derive(Debug)]
pub(in crate::engine) struct OpenFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
}

/// What is different after somebody wrote to a file.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    /// Seconds and nanoseconds of the last write, and of the last change of anything.
    times: [i64; 4],
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            size_bytes: found.len(),
            times: [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()],
        }
    }
}

impl OpenFile {
    /// The regular file `path`, of at least one and at most `max_bytes` bytes.
    pub(in crate::engine) fn open(path: PathBuf, max_bytes: u64) -> Result<Self, LoadError> {
        let (file, found) = open_bounded(&path, max_bytes)?;
        let stamp = Stamp::of(&found);
        match stamp.size_bytes {
            0 => Err(LoadError::Empty { path }),
            _ => Ok(Self { path, file, stamp }),
        }
    }

    /// Where it is.
    pub(in crate::engine) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size when it was opened.
    pub(in crate::engine) fn size_bytes(&self) -> u64 {
        self.stamp.size_bytes
    }

    /// The bytes of `range`, all at once.
    ///
    /// # Errors
    /// What the system says, also where the file ends before.
    pub(in crate::engine) fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = range.end.saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    /// Gives `take` the bytes of `range`, block by block, each of a multiple of `unit` bytes, of
    /// which `range` has one too.
    ///
    /// # Errors
    /// What the system says, also where the file ends before.
    pub(in crate::engine) fn blocks(
        &self,
        range: Range<u64>,
        unit: usize,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let whole = (BLOCK_BYTES / unit.max(1)).max(1) * unit.max(1);
        let mut block = vec![0; whole.min((range.end - range.start) as usize)];
        let mut at = range.start;
        while at < range.end {
            let length = block.len().min((range.end - at) as usize);
            let Some(part) = block.get_mut(..length) else { break };
            self.file.read_exact_at(part, at)?;
            take(part);
            at += length as u64;
        }
        Ok(())
    }

    /// SHA-256 of all its bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::engine) fn sha256(&self) -> Result<Digest, LoadError> {
        let mut hash = Sha256::new();
        self.blocks(0..self.size_bytes(), 1, |block| hash.update(block))
            .map_err(|source| self.unreadable(source))?;
        Ok(Digest(hash.finalize().into()))
    }

    /// Whether nobody wrote to it since it was opened, so that everything that was read of it is
    /// of one file.
    ///
    /// # Errors
    /// [`LoadError::Changed`] if somebody did.
    pub(in crate::engine) fn check_unchanged(&self) -> Result<(), LoadError> {
        let now = self.file.metadata().map_err(|source| self.unreadable(source))?;
        match Stamp::of(&now) == self.stamp {
            true => Ok(()),
            false => Err(LoadError::Changed { path: self.path.clone() }),
        }
    }

    /// The error for what the system says about it.
    pub(in crate::engine) fn unreadable(&self, source: io::Error) -> LoadError {
        LoadError::Read { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::sha256;
    use super::*;

    #[test]
    fn blocks_are_whole_and_make_the_range() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights");
        let bytes: Vec<u8> = (0..BLOCK_BYTES * 2 + 77).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let file = OpenFile::open(path, u64::MAX).unwrap();
        assert_eq!(file.sha256().unwrap(), sha256(&bytes));
        for (begin, count, unit) in [(0, 0, 4), (5, 7, 210), (3, 2_000, 210), (1, 60_000, 4)] {
            let end = begin + count * unit;
            let mut found: Vec<u8> = Vec::new();
            file.blocks(begin as u64..end as u64, unit, |block| {
                assert!(block.len().is_multiple_of(unit));
                found.extend(block);
            })
            .unwrap();
            assert!(found == bytes[begin..end], "{count} of {unit} from {begin}");
        }
        let size_bytes = file.size_bytes();
        file.blocks(0..size_bytes + 1, 1, |_| ()).unwrap_err();
    }

    #[test]
    fn a_file_that_is_written_to_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights");
        fs::write(&path, "one").unwrap();
        let file = OpenFile::open(path.clone(), 3).unwrap();
        file.check_unchanged().unwrap();
        fs::write(&path, "more").unwrap();
        let error = file.check_unchanged().unwrap_err();
        assert!(matches!(error, LoadError::Changed { .. }), "{error}");
        let error = OpenFile::open(path, 3).unwrap_err();
        assert!(matches!(error, LoadError::TooLarge { size_bytes: 4, max_bytes: 3, .. }));
    }
}

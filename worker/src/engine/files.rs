//! Reading the files of a model with a bound on every one.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use nightshift_core::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::LoadError;

/// The name of a file that was read, and the SHA-256 of its bytes.
pub type ReadFile = (Cow<'static, str>, Digest);

/// Checks that `dir` is a directory, so that the message is about it and not about a file in it.
pub(super) fn check_directory(dir: &Path) -> Result<(), LoadError> {
    let path = || dir.to_path_buf();
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(LoadError::NotADirectory { path: path() }),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => LoadError::NotFound { path: path() },
            io::ErrorKind::NotADirectory => LoadError::NotADirectory { path: path() },
            _ => LoadError::Read { path: path(), source: error },
        }),
    }
}

/// The content of the regular file `path`, of at least one and at most `max_bytes` bytes.
pub(super) fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>, LoadError> {
    let read = |source| LoadError::Read { path: path.to_path_buf(), source };
    // Asked before opening: opening a pipe would wait for a writer.
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::MissingFile { path: path.to_path_buf() },
        _ => read(error),
    })?;
    if !found.is_file() {
        return Err(LoadError::NotAFile { path: path.to_path_buf() });
    }
    let too_large =
        |size_bytes| LoadError::TooLarge { path: path.to_path_buf(), size_bytes, max_bytes };
    if found.len() > max_bytes {
        return Err(too_large(found.len()));
    }
    let mut bytes = Vec::with_capacity(found.len() as usize);
    // One byte more than allowed shows a file that grew since it was measured.
    let file = File::open(path).map_err(read)?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(read)?;
    match bytes.len() as u64 {
        0 => Err(LoadError::Empty { path: path.to_path_buf() }),
        size if size > max_bytes => Err(too_large(size)),
        _ => Ok(bytes),
    }
}

/// SHA-256 of the bytes that are used, so that a file swapped since it was named is noticed.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

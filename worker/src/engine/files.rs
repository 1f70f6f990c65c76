//! Reading the files of a model with a bound on every one.

use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use nightshift_core::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::LoadError;

mod opened;

pub(super) use opened::OpenFile;

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

/// The regular file `path` of at most `max_bytes` bytes, opened, and what the system says of it.
fn open_bounded(path: &Path, max_bytes: u64) -> Result<(File, Metadata), LoadError> {
    let read = |source| LoadError::Read { path: path.to_path_buf(), source };
    // Asked before opening: opening a pipe would wait for a writer.
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::MissingFile { path: path.to_path_buf() },
        _ => read(error),
    })?;
    if !found.is_file() {
        return Err(LoadError::NotAFile { path: path.to_path_buf() });
    }
    let file = File::open(path).map_err(read)?;
    let found = file.metadata().map_err(read)?;
    match found.len() > max_bytes {
        true => Err(too_large(path, found.len(), max_bytes)),
        false => Ok((file, found)),
    }
}

fn too_large(path: &Path, size_bytes: u64, max_bytes: u64) -> LoadError {
    LoadError::TooLarge { path: path.to_path_buf(), size_bytes, max_bytes }
}

/// The content of the regular file `path`, of at least one and at most `max_bytes` bytes.
pub(super) fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>, LoadError> {
    let read = |source| LoadError::Read { path: path.to_path_buf(), source };
    let (file, found) = open_bounded(path, max_bytes)?;
    let mut bytes = vec![0; found.len() as usize];
    fill(&file, &mut bytes).map_err(read)?;
    // One byte more than allowed shows a file that grew since it was measured.
    let mut rest = file;
    io::Seek::seek(&mut rest, io::SeekFrom::Start(found.len())).map_err(read)?;
    rest.take((max_bytes + 1).saturating_sub(found.len())).read_to_end(&mut bytes).map_err(read)?;
    match bytes.len() as u64 {
        0 => Err(LoadError::Empty { path: path.to_path_buf() }),
        size if size > max_bytes => Err(too_large(path, size, max_bytes)),
        _ => Ok(bytes),
    }
}

/// Fills `bytes` from the beginning of `file`, a large piece on each core: what takes long is not
/// the copying but the memory, which the system clears page by page when it is first touched.
fn fill(file: &File, bytes: &mut [u8]) -> io::Result<()> {
    /// Less than this is not worth a thread.
    const PIECE_BYTES_MIN: usize = 8 << 20;
    let pieces = (bytes.len() / PIECE_BYTES_MIN).clamp(1, cores());
    let piece = bytes.len().div_ceil(pieces).max(1);
    thread::scope(|scope| {
        let readers = bytes
            .chunks_mut(piece)
            .zip((0..).step_by(piece))
            .map(|(into, from)| scope.spawn(move || file.read_exact_at(into, from as u64)));
        let readers: Vec<_> = readers.collect();
        readers.into_iter().try_for_each(|reader| joined(reader.join()))
    })
}

/// Cores that a model may be loaded with.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What a thread came to, or its panic.
pub(super) fn joined<T>(ended: thread::Result<T>) -> T {
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// SHA-256 of the bytes that are used, so that a file swapped since it was named is noticed.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

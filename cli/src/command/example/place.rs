//! Files into a folder: each at once, and none over one that differs.

use std::fs::{self, File, Permissions};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;
use tempfile::NamedTempFile;

/// Bytes that are compared at a time.
const PIECE_BYTES: usize = 1 << 16;

/// Where the files go.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    root: &'a Path,
    force: bool,
}

/// What became of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Placed {
    /// Made, or replaced by force.
    pub(super) written: u64,
    /// There before with the same bytes.
    pub(super) same: u64,
}

impl Placed {
    /// Adds what became of others.
    pub(super) fn add(&mut self, other: Self) {
        self.written += other.written;
        self.same += other.same;
    }
}

impl<'a> Folder<'a> {
    pub(super) fn new(root: &'a Path, force: bool) -> Self {
        Self { root, force }
    }

    /// Whether `bytes` may go to `path`: nothing is there, or the same, or it may be replaced.
    pub(super) fn check(&self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let target = self.root.join(path);
        match File::open(&target) {
            Ok(_) if self.force => Ok(()),
            Ok(found) => match same(found, bytes).map_err(|error| failed(&target, &error))? {
                true => Ok(()),
                false => Err(differs(&target)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&target, &error)),
        }
    }

    /// Writes a file beside its place, and gives it its name when it is complete and on disk.
    pub(super) fn place(
        &self,
        path: &str,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Failure>,
    ) -> Result<Placed, Failure> {
        let target = self.root.join(path);
        let io = |error| failed(&target, &error);
        let parent = target.parent().unwrap_or(self.root);
        fs::create_dir_all(parent).map_err(io)?;
        // Readable for others as usual; the process's mask still takes away from it.
        let mut made = tempfile::Builder::new()
            .prefix(".nightshift-example-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(parent)
            .map_err(io)?;
        write(made.as_file_mut())?;
        if self.is_same(&target, &made).map_err(io)? {
            return Ok(Placed { written: 0, same: 1 });
        }
        made.as_file().sync_all().map_err(io)?;
        let named =
            if self.force { made.persist(&target) } else { made.persist_noclobber(&target) };
        match named {
            Ok(_) => Ok(Placed { written: 1, same: 0 }),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
                // Somebody else may have placed the same in between.
                match self.is_same(&target, &refused.file).map_err(io)? {
                    true => Ok(Placed { written: 0, same: 1 }),
                    false => Err(differs(&target)),
                }
            }
            Err(refused) => Err(io(refused.error)),
        }
    }

    /// Whether a file is there already with the same bytes.
    fn is_same(&self, target: &Path, made: &NamedTempFile) -> std::io::Result<bool> {
        match File::open(target) {
            Ok(found) if found.metadata()?.len() == made.as_file().metadata()?.len() => {
                same(found, made.reopen()?)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether two readers give the same bytes.
fn same(one: impl Read, other: impl Read) -> std::io::Result<bool> {
    let mut readers = (BufReader::new(one), BufReader::new(other));
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        readers.0.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut left)?;
        readers.1.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

fn differs(target: &Path) -> Failure {
    let text = format_args!(
        "{} exists and differs from the example's; name another folder, or replace it with --force",
        target.display()
    );
    Failure::new(Exit::CannotCreate, text)
}

fn failed(target: &Path, error: &std::io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::Permission,
        _ => Exit::CannotCreate,
    };
    let text = format_args!(
        "{} cannot be written: {error}; name a folder that this user may write to",
        target.display()
    );
    Failure::new(exit, text)
}

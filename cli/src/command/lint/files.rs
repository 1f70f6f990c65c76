//! The files of `nightshift lint`: found, read within bounds, and replaced all at once.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use nightshift_core::exit::Exit;
use nightshift_manifests::lint::{MAX_BYTES, Source};
use nightshift_worker::front::failure::Failure;

/// Most files of one call; beyond it somebody has named the wrong folder.
const MAX_FILES: usize = 10_000;
/// Deepest folder under one that was named.
const MAX_DEPTH: usize = 64;

/// Reads every file that is named, and every `*.yaml` and `*.yml` in folders.
pub(super) fn read(named: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut paths = Vec::new();
    for path in named {
        if path != Path::new("-") && metadata(path)?.is_dir() {
            walk(path, 0, &mut paths)?;
        } else {
            paths.push(path.clone());
        }
    }
    // The same file twice would be mended twice.
    let mut seen = std::collections::HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths.iter().map(|path| source(path)).collect()
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, Failure> {
    std::fs::metadata(path).map_err(|error| cannot("read", path, &error))
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = listed.map_err(|error| cannot("list", folder, &error))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| cannot("read", &path, &error))?;
        // Links to folders are not followed: they may lead in a circle.
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let is_yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
        if kind.is_dir() && !hidden && depth < MAX_DEPTH {
            walk(&path, depth + 1, paths)?;
        } else if is_yaml && !kind.is_dir() && path.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            let why = format_args!(
                "more than {MAX_FILES} YAML files in {}; name a folder further down",
                folder.display()
            );
            return Err(Failure::new(Exit::Usage, why));
        }
    }
    Ok(())
}

fn source(path: &Path) -> Result<Source, Failure> {
    let mut bytes = Vec::new();
    // One byte more than is allowed is enough to see that there are too many.
    let limit = MAX_BYTES as u64 + 1;
    let (name, read) = if path == Path::new("-") {
        ("<stdin>".to_owned(), std::io::stdin().lock().take(limit).read_to_end(&mut bytes))
    } else {
        let file = File::open(path);
        let read = file.and_then(|file| file.take(limit).read_to_end(&mut bytes));
        (path.display().to_string(), read)
    };
    read.map_err(|error| cannot("read", path, &error))?;
    Ok(Source::of_bytes(name, bytes))
}

/// Replaces a file: readers see the old text or the new one, never a part.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    // A link stays a link; what it points to is replaced.
    let path = &path.canonicalize().map_err(|error| cannot("write", path, &error))?;
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let result = (|| {
            let mut file = File::create_new(&temporary)?;
            file.set_permissions(std::fs::metadata(path)?.permissions())?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        })();
        if result.is_err() {
            // What went wrong first is what is told.
            let _ = std::fs::remove_file(&temporary);
        }
        result
    };
    write().map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::NotFound => Exit::NoInput,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::Permission,
        _ => Exit::Io,
    };
    Failure::new(exit, format_args!("cannot {what} {}: {error}", path.display()))
}

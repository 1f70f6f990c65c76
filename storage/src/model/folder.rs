//! A model that lies in a folder: which files it has, and their digest.

use std::io;
use std::path::{Path, PathBuf};

use nightshift_core::ids::Digest;
use nightshift_core::model::{is_described, is_model_file, is_model_folder, is_plain_name};
use nightshift_core::plan::ModelFile;
use sha2::{Digest as _, Sha256};

use super::ModelError;
use super::memo::Memo;
use super::source::{ENTRIES_MAX, FILES_MAX};

/// SHA-256 of the lines that `sha256sum` prints for the files.
pub(super) fn digest_of(files: &[ModelFile]) -> Digest {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(format!("{}  {}\n", file.sha256, file.name));
    }
    Digest(hash.finalize().into())
}

/// The files of the model in `directory`, hashed; blocks.
pub(super) fn hash_directory(directory: &Path, memo: &Memo) -> Result<Vec<ModelFile>, ModelError> {
    names(directory)?
        .into_iter()
        .map(|name| {
            let (size_bytes, sha256) = memo.hash(&directory.join(&name))?;
            Ok(ModelFile { name, size_bytes, sha256 })
        })
        .collect()
}

/// Paths of the model's files within `directory`, in byte order.
fn names(directory: &Path) -> Result<Vec<String>, ModelError> {
    let path = || directory.display().to_string();
    let mut found = Found { directory, seen: 0, names: Vec::new() };
    for folder in found.look_into(None)? {
        found.look_into(Some(&folder))?;
    }
    let Found { mut names, .. } = found;
    names.sort_unstable();
    if !is_described(names.iter().map(String::as_str)) {
        return Err(ModelError::NoConfig { path: path() });
    }
    Ok(names)
}

/// What was found on the way through a model's folders.
struct Found<'a> {
    directory: &'a Path,
    seen: usize,
    names: Vec<String>,
}

impl Found<'_> {
    /// Takes the files of the folder or one of its module folders; gives the module folders.
    fn look_into(&mut self, below: Option<&str>) -> Result<Vec<String>, ModelError> {
        let folder = below.map_or_else(|| self.directory.to_owned(), |it| self.directory.join(it));
        let path = || folder.display().to_string();
        let entries = std::fs::read_dir(&folder).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ModelError::Missing { path: path() },
            io::ErrorKind::NotADirectory => ModelError::NotADirectory { path: path() },
            _ => ModelError::unreadable(&folder, source),
        })?;
        let mut folders = Vec::new();
        for entry in entries {
            self.seen += 1;
            if self.seen > ENTRIES_MAX {
                return Err(self.too_many("entries", ENTRIES_MAX));
            }
            let entry: PathBuf =
                entry.map_err(|source| ModelError::unreadable(&folder, source))?.path();
            let Some(name) = entry.file_name().map(|name| name.to_string_lossy().into_owned())
            else {
                continue;
            };
            let module = below.is_none() && is_model_folder(&name);
            if !module && !is_model_file(&name) {
                continue;
            }
            // Follows links: the cache of Hugging Face is made of them.
            let kind = entry.metadata().map_err(|source| ModelError::unreadable(&entry, source))?;
            if module && kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() && is_model_file(&name) {
                if entry.to_str().is_none() || !is_plain_name(&name) {
                    let name = name.escape_debug().take(200).collect();
                    return Err(ModelError::OddName { path: path(), name });
                }
                self.names.push(match below {
                    Some(below) => format!("{below}/{name}"),
                    None => name,
                });
                if self.names.len() > FILES_MAX {
                    return Err(self.too_many("files", FILES_MAX));
                }
            }
        }
        Ok(folders)
    }

    fn too_many(&self, what: &'static str, limit: usize) -> ModelError {
        ModelError::TooMany { path: self.directory.display().to_string(), what, limit }
    }
}

//! What killed processes left: temporary files of documents, and folders of probes.
//!
//! Removing either is safe whoever still uses it: a create that has lost its temporary file is
//! settled like any other whose outcome is unknown, with a new one. The age only keeps that from
//! happening needlessly.

use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nightshift_core::ids::Partition;
use nightshift_core::layout::{self, Prefix};
use nightshift_core::retention::Fate;

use super::names::Hand;
use super::{CollectError, Rules, Strays, judge_partition};
use crate::error::StoreError;
use crate::root::{Probed, Reader, blocking};

/// How long nobody has written to what counts as left behind. A create takes a second at most; an
/// hour covers a volume that hangs and clocks that differ.
const STRAY_AGE: Duration = Duration::from_secs(3_600);

/// Where strays are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the top of the private folder, where outputs are tested.
    Top,
    /// Beside the documents of a date.
    Date(Partition),
}

/// Counts what killed processes left; looks, and touches nothing. The folders of undecided runs
/// are left out, and those of claims and finals where the date has one.
///
/// # Errors
/// The errors of the store.
pub async fn find_strays(
    root: &Reader,
    rules: &Rules,
    place: Place,
) -> Result<Strays, CollectError> {
    go_through(root, rules, place, Hand::Look).await
}

/// Removes what [`find_strays`] counts.
///
/// # Errors
/// The errors of the store.
pub async fn collect_strays(
    root: &Probed,
    rules: &Rules,
    place: Place,
) -> Result<Strays, CollectError> {
    go_through(root, rules, place, Hand::Remove).await
}

async fn go_through(
    root: &Reader,
    rules: &Rules,
    place: Place,
    hand: Hand,
) -> Result<Strays, CollectError> {
    let folders: Vec<PathBuf> = match place {
        Place::Top => vec![root.directory().join(layout::private_directory())],
        Place::Date(partition) => {
            let folders = folders_of(root, rules, partition).await?;
            folders.iter().map(|folder| root.path_of_prefix(folder)).collect()
        }
    };
    let mut strays = Strays::default();
    for folder in folders {
        strays.add(in_folder(root, folder, hand).await?);
    }
    Ok(strays)
}

/// Folders of `partition` in which nobody works.
async fn folders_of(
    root: &Reader,
    rules: &Rules,
    partition: Partition,
) -> Result<Vec<Prefix>, StoreError> {
    let judged = judge_partition(root, rules, partition).await?;
    let mut folders = Vec::new();
    let mut quiet = true;
    for one in judged.runs {
        if one.fate == Fate::Untouched {
            quiet = false;
            continue;
        }
        let run = one.run;
        folders.push(Prefix::Visible(run.partition, run.generation));
        folders.push(Prefix::Epochs(run.clone()));
        folders.push(Prefix::Records(run.clone()));
        folders.push(Prefix::Run(run));
    }
    if quiet {
        let shared = [Prefix::Claims(partition), Prefix::Finals(partition)];
        folders.extend(shared.into_iter().chain([Prefix::Removals(partition)]));
    }
    Ok(folders)
}

/// Goes through the entries of one folder, not those below it.
async fn in_folder(root: &Reader, folder: PathBuf, hand: Hand) -> Result<Strays, StoreError> {
    let directory = root.directory().to_path_buf();
    blocking(move || {
        let failed = |error| StoreError::from_io("list", &folder, error);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Strays::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut strays = Strays::default();
        for entry in entries {
            strays.add(one(&directory, &entry.map_err(failed)?, hand)?);
        }
        Ok(strays)
    })
    .await
}

/// Counts one entry if it is a stray, and removes it if told so.
fn one(root: &Path, entry: &DirEntry, hand: Hand) -> Result<Strays, StoreError> {
    let (path, none) = (entry.path(), Strays::default());
    let Ok(found) = entry.metadata() else { return Ok(none) };
    let relative = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or_default();
    let name = entry.file_name();
    let is_probe = found.is_dir() && layout::is_probe_directory(&name.to_string_lossy());
    let is_temporary = found.is_file() && layout::is_temporary(relative);
    if !(is_probe || is_temporary) || !is_old(&found) {
        return Ok(none);
    }
    if hand == Hand::Remove {
        let removed =
            if is_probe { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none),
            Err(error) => return Err(StoreError::from_io("remove", &path, error)),
        }
    }
    // A temporary file that was linked to its name is another name of the document.
    let freed_bytes = if is_temporary && found.nlink() == 1 { found.len() } else { 0 };
    Ok(Strays { files: u64::from(is_temporary), probes: u64::from(is_probe), freed_bytes })
}

/// Whether nobody has written for [`STRAY_AGE`]; not known counts as no.
fn is_old(found: &Metadata) -> bool {
    let age = found.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age >= STRAY_AGE)
}

impl Strays {
    /// Counts those of another place, too.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.probes += other.probes;
        self.freed_bytes += other.freed_bytes;
    }
}

//! What killed processes left: temporary files of documents, folders of probes, and in a bucket
//! uploads that nobody finished.
//!
//! Removing either is safe whoever still uses it: a create that has lost its temporary file is
//! settled like any other whose outcome is unknown, with a new one. The age only keeps that from
//! happening needlessly.

use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use nightshift_core::ids::Partition;
use nightshift_core::layout::{self, Prefix};
use nightshift_core::retention::Fate;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::names::Hand;
use super::{CollectError, Rules, Strays, judge_partition};
use crate::bucket::Bucket;
use crate::error::StoreError;
use crate::root::{Medium, Probed, Reader, blocking};

/// How long nobody has written to what counts as left behind. A create takes a second at most; an
/// hour covers a volume that hangs and clocks that differ.
const STRAY_AGE: Duration = Duration::from_secs(3_600);

/// How old an upload is that counts as given up: a large file may be written for hours.
const UPLOAD_AGE: Duration = Duration::from_secs(24 * 3_600);

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
    if let Medium::Bucket(bucket) = root.medium() {
        return Ok(match place {
            Place::Top => in_bucket(bucket, rules, hand).await?,
            // Nothing temporary lies beside documents.
            Place::Date(_) => Strays::default(),
        });
    }
    let folders: Vec<PathBuf> = match place {
        Place::Top => vec![Path::new(root.place()).join(layout::private_directory())],
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

/// Objects of probes, and uploads that nobody finished.
async fn in_bucket(bucket: &Bucket, rules: &Rules, hand: Hand) -> Result<Strays, StoreError> {
    let mut strays = Strays::default();
    let old = |at: Timestamp, age: Duration| {
        SignedDuration::try_from(age).is_ok_and(|age| rules.now.duration_since(at) >= age)
    };
    let private = ObjectPath::from(layout::private_directory());
    let failed =
        |what| move |error| StoreError::from_store(what, layout::private_directory(), error);
    let below = bucket.list_with_delimiter(Some(&private)).await.map_err(failed("list"))?;
    let probes = below
        .common_prefixes
        .into_iter()
        .filter(|folder| folder.filename().is_some_and(layout::is_probe_directory));
    for folder in probes {
        let mut objects = bucket.list(Some(&folder));
        let mut any = false;
        while let Some(one) = objects.try_next().await.map_err(failed("list"))? {
            let modified = Timestamp::from_second(one.last_modified.timestamp());
            if !modified.is_ok_and(|modified| old(modified, STRAY_AGE)) {
                continue;
            }
            if hand == Hand::Remove {
                bucket.delete(&one.location).await.map_err(failed("remove"))?;
            }
            any = true;
            strays.freed_bytes += one.size;
        }
        strays.probes += u64::from(any);
    }
    for upload in bucket.unfinished().await {
        if old(upload.begun, UPLOAD_AGE) {
            if hand == Hand::Remove {
                bucket.abort(&upload).await?;
            }
            strays.files += 1;
        }
    }
    Ok(strays)
}

/// Goes through the entries of one folder, not those below it.
async fn in_folder(root: &Reader, folder: PathBuf, hand: Hand) -> Result<Strays, StoreError> {
    let directory = PathBuf::from(root.place());
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

//! Removing: decision first, then the marker, then the files.

use std::path::PathBuf;

use nightshift_core::document::Document;
use nightshift_core::ids::{Partition, RunId};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::retention::{Fate, Removal};

use super::names::{Hand, Name, prune, take};
use super::sweep::{Sweep, Target};
use super::{CollectError, Collected, Rules, judge_partition};
use crate::error::StoreError;
use crate::root::{Directory, Medium, Probed, blocking};

/// Levels of folders below the attempts of a run: shards, then attempts.
const ATTEMPT_LEVELS: u32 = 2;

/// Removes what [`survey`](super::survey) would name, and says what has gone. Safe to repeat, and
/// to do from several processes at once.
///
/// # Errors
/// See [`CollectError`]. What cannot be read is found before the first file goes.
pub async fn collect(
    root: &Probed,
    rules: &Rules,
    partition: Partition,
) -> Result<Vec<Collected>, CollectError> {
    let judged = judge_partition(root, rules, partition).await?;
    let sweep = Sweep::prepare(root, &judged).await?;
    sweep.go_through(root, Hand::Look).await?;
    begin(root, rules, &sweep).await?;
    let swept = sweep.go_through(root, Hand::Remove).await?;
    // Also of runs whose files have gone already: whoever removed them may have been killed then.
    for one in &judged.runs {
        let visible = match one.fate {
            Fate::Removed { .. } => true,
            Fate::Kept { sweep: true, .. } => false,
            _ => continue,
        };
        remove_folders(root, &one.run, visible).await?;
    }
    Ok(swept)
}

/// Writes down what goes, and takes the markers away.
pub(super) async fn begin(root: &Probed, rules: &Rules, sweep: &Sweep) -> Result<(), StoreError> {
    for target in sweep.targets() {
        decide(root, rules, target).await?;
    }
    for target in sweep.targets().iter().filter(|target| target.marker_bytes.is_some()) {
        remove_marker(root, &target.run).await?;
    }
    Ok(())
}

/// Writes down that the data of a generation goes.
async fn decide(root: &Probed, rules: &Rules, target: &Target) -> Result<(), StoreError> {
    let Some(superseded_by) = target.superseded_by else { return Ok(()) };
    let RunId { partition, generation, .. } = target.run;
    let object = Object::Removal { partition, generation };
    if root.read::<Removal>(&object).await?.is_some() {
        return Ok(());
    }
    let removal = Removal {
        version: Removal::VERSION,
        run: target.run.clone(),
        superseded_by,
        removed_by: rules.who.clone(),
        removed_at: rules.now,
    };
    // Another collector may have been faster, with the same decision.
    let _ = root.create_once(&object, &removal).await?;
    Ok(())
}

/// Removes `_SUCCESS`, durably: what goes after it must not be trusted after a power failure.
async fn remove_marker(root: &Probed, run: &RunId) -> Result<(), StoreError> {
    let RunId { partition, generation, .. } = *run;
    let object = Object::Success { partition, generation };
    take(root, vec![Name { object, owner: 0 }], 1, Hand::Remove).await?;
    let Medium::Volume(Directory { path, syncer }) = root.medium() else { return Ok(()) };
    let folder = path.join(Prefix::Visible(partition, generation).path());
    let synced = syncer.sync_entries(&folder).await;
    synced.map_err(|error| StoreError::from_io("sync", &folder, error))
}

/// Removes the folders of a run that are empty now, where there are folders: of its attempts, and if they go of its visible
/// files.
async fn remove_folders(root: &Probed, run: &RunId, visible: bool) -> Result<(), StoreError> {
    if let Medium::Bucket(_) = root.medium() {
        return Ok(());
    }
    let attempts = root.path_of_prefix(&Prefix::Attempts(run.clone()));
    let mut folders: Vec<(PathBuf, u32)> = vec![(attempts, ATTEMPT_LEVELS)];
    if visible {
        folders.push((root.path_of_prefix(&Prefix::Visible(run.partition, run.generation)), 0));
    }
    blocking(move || folders.iter().try_for_each(|(folder, depth)| prune(folder, *depth))).await
}

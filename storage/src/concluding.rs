//! Concluding a run: every committed shard visible → final → report and `_SUCCESS`.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use nightshift_core::conclusion::{Final, FinalState, NotConcluded, Tally};
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Planned;
use nightshift_core::record::Record;
use nightshift_core::report::Report;
use nightshift_core::settle::CommitPermit;
use thiserror::Error;

use crate::documents::Settled;
use crate::error::StoreError;
use crate::publish::{Publication, VisibleState};
use crate::root::Probed;

/// Visible files that are checked at the same time.
const CHECKS_MAX: usize = 16;

/// Why a run cannot be concluded.
#[derive(Debug, Error)]
pub enum ConcludeError {
    /// Shards are undecided, or a record contradicts the plan.
    #[error("the run has no verdict yet")]
    NotConcluded(#[from] NotConcluded),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The report cannot be written as JSON.
    #[error("the report cannot be written down")]
    Report(#[from] serde_json::Error),
    /// Another final is stored than plan and records give: the store was tampered with.
    #[error(
        "{path} says something else than plan and records do; run `nightshift verify` and see who changed it"
    )]
    FinalDiffers {
        /// The final.
        path: String,
    },
}

/// Makes the verdict of a run whose shards are all decided, from the stored records, with
/// bounded memory: any number of shards costs a bit each, and a few records at a time.
///
/// Visible files that a dead worker left unpublished are made from the records first, so that
/// nothing new appears after the final (I6). Several processes may do this at the same time:
/// they write the same bytes.
///
/// # Errors
/// See [`ConcludeError`]. Some visible files may have been made; they are the committed
/// attempts' all the same.
pub async fn conclude_stored<P: Planned + Sync>(
    root: &Probed,
    plan: &P,
) -> Result<Report, ConcludeError> {
    let decided = root.decided_shards(plan.run()).await?;
    NotConcluded::check_undecided(plan.shard_count(), |shard| decided.contains(shard))?;
    let mut tally = Tally::new(plan);
    // Counted before its files are touched: nothing is published for a record that contradicts
    // the plan.
    let counted = root.records_in_order(plan.run(), decided.iter()).map(|read| {
        let (shard, record) = read?;
        if let Some(record) = &record {
            tally.add(shard, record)?;
        }
        Ok::<_, ConcludeError>(record)
    });
    counted
        .try_filter_map(async |record| Ok(record))
        .map_ok(|record| async move { Ok(publish_record(root, &record).await?) })
        .try_buffer_unordered(CHECKS_MAX)
        .try_collect::<()>()
        .await?;
    decide(root, plan, tally.finish()?).await
}

/// Makes the verdict of a run whose shards are all decided, from records that are in memory
/// already. Apart from that it does what [`conclude_stored`] does.
///
/// # Errors
/// See [`ConcludeError`].
pub async fn conclude(
    root: &Probed,
    plan: &impl Planned,
    records: &BTreeMap<ShardIndex, Record>,
) -> Result<Report, ConcludeError> {
    let verdict = Final::conclude(plan, records)?;
    publish_all(root, records).await?;
    decide(root, plan, verdict).await
}

/// Creates the final, or finds that somebody has created the same, and marks a success.
async fn decide(
    root: &Probed,
    plan: &impl Planned,
    verdict: Final,
) -> Result<Report, ConcludeError> {
    let RunId { partition, generation, .. } = *plan.run();
    let object = Object::Final { partition, generation };
    if let Settled::Existing(stored) = root.create_once(&object, &verdict).await?
        && stored != verdict
    {
        return Err(ConcludeError::FinalDiffers { path: object.path() });
    }
    let output = Prefix::Visible(partition, generation).path();
    let report = Report::new(plan, verdict, output);
    mark_success(root, &report).await?;
    Ok(report)
}

/// Writes `_SUCCESS` beside the visible files of a run that succeeded, if it is not there yet.
///
/// It comes after the final, so a process may die in between; whoever finds the final without
/// it calls this with the report of the stored documents, which gives the same bytes.
///
/// # Errors
/// See [`ConcludeError`].
pub async fn mark_success(root: &Probed, report: &Report) -> Result<(), ConcludeError> {
    if report.verdict.state != FinalState::Succeeded {
        return Ok(());
    }
    let RunId { partition, generation, .. } = report.verdict.run;
    // A process that wakes up late must not vouch for files that are gone.
    if root.exists(&Object::Removal { partition, generation }).await? {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec_pretty(report)?;
    bytes.push(b'\n');
    // Whoever wrote it: its bytes follow from plan and records, like the final's.
    let _ = root.put_once(&Object::Success { partition, generation }, bytes).await?;
    Ok(())
}

/// Sees to it that every committed shard has its visible files.
async fn publish_all(
    root: &Probed,
    records: &BTreeMap<ShardIndex, Record>,
) -> Result<(), StoreError> {
    stream::iter(records.values())
        .map(|record| publish_record(root, record))
        .buffer_unordered(CHECKS_MAX)
        .try_collect()
        .await
}

/// Makes the visible files of one stored record, if they are not there yet.
async fn publish_record(root: &Probed, record: &Record) -> Result<(), StoreError> {
    let files = publications(record);
    let sizes = files.iter().map(|file| (file.visible.clone(), file.size_bytes)).collect();
    let states = root.verify_visible(sizes).await?;
    if states.iter().all(|state| *state == VisibleState::Right) {
        return Ok(());
    }
    let staged_by = record.inherited_from.as_ref().unwrap_or(&record.run);
    let permit =
        CommitPermit::from_stored_record(staged_by.clone(), record.shard, record.attempt.clone());
    root.publish(&permit, &files).await
}

/// The files that a record makes visible: none for a quarantined shard.
pub fn publications(record: &Record) -> Vec<Publication> {
    let Some(committed) = record.committed() else { return Vec::new() };
    let files = std::iter::once(&committed.output).chain(&committed.rejects);
    files
        .map(|file| Publication {
            staged: file.staged.clone(),
            visible: file.visible.clone(),
            size_bytes: file.size_bytes,
            sha256: file.sha256,
        })
        .collect()
}

#[cfg(test)]
mod tests;

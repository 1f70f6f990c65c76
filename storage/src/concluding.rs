//! Concluding a run: every committed shard visible → final → report and `_SUCCESS`; with a gate
//! the final comes first, and what it lets through becomes visible after it.

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
use crate::publish::{Publication, Seen, VisibleState};
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
/// nothing new appears after the final (I6). If the plan has a gate, nothing is visible before the
/// final: what passes, or what a person approved, is published after it, and `_SUCCESS` comes
/// last all the same. Several processes may do this at the same time: they write the same bytes.
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
    let seen = Seen::of(root, plan).await?;
    // Counted before its files are touched: nothing is published for a record that contradicts
    // the plan.
    let counted = root.records_in_order(plan.run(), decided.iter()).map(|read| {
        let (shard, record) = read?;
        if let Some(record) = &record {
            tally.add(shard, record)?;
        }
        Ok::<_, ConcludeError>(record.filter(|_| plan.gate().is_none()))
    });
    counted
        .try_filter_map(async |record| Ok(record))
        .map_ok(|record| {
            let seen = &seen;
            async move { Ok(publish_record(root, &record, seen).await?) }
        })
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
pub async fn conclude<P: Planned + Sync>(
    root: &Probed,
    plan: &P,
    records: &BTreeMap<ShardIndex, Record>,
) -> Result<Report, ConcludeError> {
    let verdict = Final::conclude(plan, records)?;
    if plan.gate().is_none() {
        publish_all(root, plan, records).await?;
    }
    decide(root, plan, verdict).await
}

/// Creates the final, or finds that somebody has created the same, and releases its output.
async fn decide<P: Planned + Sync>(
    root: &Probed,
    plan: &P,
    verdict: Final,
) -> Result<Report, ConcludeError> {
    let RunId { partition, generation, .. } = *plan.run();
    let object = Object::Final { partition, generation };
    let own = match root.create_once(&object, &verdict).await? {
        Settled::Existing(stored) if stored != verdict => {
            return Err(ConcludeError::FinalDiffers { path: object.path() });
        }
        Settled::Existing(_) => None,
        Settled::Created => Some(verdict.clone()),
    };
    let completed = complete(root, plan, verdict).await;
    // Once, by whoever made the verdict: a run has one span that all others are within.
    if let Some(verdict) = own {
        nightshift_telemetry::trace::concluded(plan, &verdict);
    }
    completed
}

/// Does what is left to do for a run that has its `verdict`: publishes what a gate held back and
/// lets through now, and writes `_SUCCESS` beside the files of a run that succeeded.
///
/// Both come after the final, so a process may die in between; whoever finds the final without
/// `_SUCCESS` calls this, which ends the same way. What a gate withholds stays out of sight,
/// unless a person has approved it.
///
/// # Errors
/// See [`ConcludeError`].
pub async fn complete<P: Planned + Sync>(
    root: &Probed,
    plan: &P,
    verdict: Final,
) -> Result<Report, ConcludeError> {
    let RunId { partition, generation, .. } = *plan.run();
    let published = root.is_published(plan, Some(&verdict)).await?;
    let accepted = verdict.state == FinalState::Succeeded && published;
    let output = Prefix::Visible(partition, generation).path();
    let report = Report::new(plan, verdict, output);
    if !accepted {
        return Ok(report);
    }
    // A process that wakes up late must not vouch for files that are gone.
    if root.exists(&Object::Removal { partition, generation }).await? {
        return Ok(report);
    }
    if plan.gate().is_some() {
        publish_stored(root, plan).await?;
    }
    let mut bytes = serde_json::to_vec_pretty(&report)?;
    bytes.push(b'\n');
    // Whoever wrote it: its bytes follow from plan and records, like the final's.
    let _ = root.put_once(&Object::Success { partition, generation }, bytes).await?;
    Ok(report)
}

/// Makes the files of a record visible whose permit has just been won, unless the plan has a
/// gate: then they wait for the verdict of the run.
///
/// # Errors
/// As [`Probed::publish_won`].
pub async fn publish_won(
    root: &Probed,
    plan: &impl Planned,
    permit: &CommitPermit,
    record: &Record,
) -> Result<(), StoreError> {
    if plan.gate().is_some() {
        return Ok(());
    }
    root.publish_won(permit, &publications(record)).await
}

/// Sees to it that every committed shard has its visible files.
async fn publish_all(
    root: &Probed,
    plan: &(impl Planned + Sync),
    records: &BTreeMap<ShardIndex, Record>,
) -> Result<(), StoreError> {
    let seen = Seen::of(root, plan).await?;
    stream::iter(records.values())
        .map(|record| publish_record(root, record, &seen))
        .buffer_unordered(CHECKS_MAX)
        .try_collect()
        .await
}

/// The same from the stored records, a few at a time.
async fn publish_stored<P: Planned + Sync>(root: &Probed, plan: &P) -> Result<(), StoreError> {
    let shards = (0..plan.shard_count()).map(ShardIndex);
    let seen = &Seen::of(root, plan).await?;
    root.records_in_order(plan.run(), shards)
        .try_filter_map(async |(_, record)| Ok(record))
        .map_ok(|record| async move { publish_record(root, &record, seen).await })
        .try_buffer_unordered(CHECKS_MAX)
        .try_collect()
        .await
}

/// Makes the visible files of one stored record, if they are not there yet.
async fn publish_record(root: &Probed, record: &Record, seen: &Seen) -> Result<(), StoreError> {
    let files = publications(record);
    if seen.has(&files) {
        return Ok(());
    }
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

//! What the store says about a name: what a rebuilt ledger has to say.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use nightshift_core::conclusion::Final;
use nightshift_core::gates::Judgement;
use nightshift_core::ids::{Generation, Partition, RunId, SpecName};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::root::RootId;
use nightshift_storage::{Reader, StoreError};

use crate::entry::DateEntry;

/// Finals that are read at the same time.
const READS_MAX: usize = 16;

/// Dates that are concluded, and runs that are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The entry of each date that has a final: its highest concluded generation.
    pub dates: BTreeMap<Partition, DateEntry>,
    /// Claimed runs of generations above the highest concluded one.
    pub open: BTreeSet<RunId>,
}

/// Surveys the output of `name`. Finals never change, so those of `known` are not read again, but
/// for those that wait for a person.
///
/// # Errors
/// If the store does not answer, or a final cannot be read.
pub async fn survey(
    reader: &Reader,
    name: &SpecName,
    root: &RootId,
    known: &BTreeMap<Partition, DateEntry>,
) -> Result<Survey, StoreError> {
    let concluded = newest(reader.generations(&Prefix::AllFinals).await?);
    let read = |(partition, generation): (Partition, Generation)| async move {
        if let Some(entry) = known.get(&partition)
            && entry.generation == generation
            && entry.root == *root
            && !entry.withheld
        {
            return Ok(Some((partition, entry.clone())));
        }
        let verdict: Option<Final> = reader.read(&Object::Final { partition, generation }).await?;
        let entry = match &verdict {
            Some(verdict) => Some(entry_of(reader, root, verdict).await?),
            None => None,
        };
        // A final that names another run than its path does decides nothing.
        let entry =
            entry.filter(|entry| entry.is_about(name, partition) && entry.generation == generation);
        Ok::<_, StoreError>(entry.map(|entry| (partition, entry)))
    };
    let dates: Vec<Option<(Partition, DateEntry)>> =
        stream::iter(concluded).map(read).buffer_unordered(READS_MAX).try_collect().await?;
    let dates: BTreeMap<Partition, DateEntry> = dates.into_iter().flatten().collect();
    let open = open_runs(reader, name, &dates).await?;
    Ok(Survey { dates, open })
}

/// The entry of a stored final, with what a person decided about it since. Only what readers see
/// in full is published: a process may have died between an approval and `_SUCCESS`.
///
/// # Errors
/// If the store does not answer, or the approval cannot be read.
pub(crate) async fn entry_of(
    reader: &Reader,
    root: &RootId,
    verdict: &Final,
) -> Result<DateEntry, StoreError> {
    let entry = DateEntry::new(root, verdict);
    Ok(match entry.withheld && is_published(reader, verdict).await? {
        true => entry.published(),
        false => entry,
    })
}

async fn is_published(reader: &Reader, verdict: &Final) -> Result<bool, StoreError> {
    let RunId { partition, generation, .. } = verdict.run;
    Ok(reader.judgement(verdict).await? == Some(Judgement::Approved)
        && reader.exists(&Object::Success { partition, generation }).await?)
}

/// The highest generation of each date.
fn newest(all: Vec<(Partition, Generation)>) -> BTreeMap<Partition, Generation> {
    let mut found: BTreeMap<Partition, Generation> = BTreeMap::new();
    for (partition, generation) in all {
        let newest = found.entry(partition).or_insert(generation);
        *newest = generation.max(*newest);
    }
    found
}

async fn open_runs(
    reader: &Reader,
    name: &SpecName,
    dates: &BTreeMap<Partition, DateEntry>,
) -> Result<BTreeSet<RunId>, StoreError> {
    let mut claimed = reader.generations(&Prefix::AllClaims).await?;
    claimed.retain(|(partition, generation)| {
        dates.get(partition).is_none_or(|entry| entry.generation < *generation)
    });
    let run = |(partition, generation)| RunId { name: name.clone(), partition, generation };
    Ok(claimed.into_iter().map(run).collect())
}

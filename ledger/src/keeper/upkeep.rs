//! The ledger of one name, as its keeper sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightshift_core::ids::{Partition, RunId, ShardIndex};
use nightshift_core::plan::ShardSet;
use nightshift_storage::StoreError;
use thiserror::Error;

use crate::changes::{DATES_PER_BATCH, SHARDS_PER_BATCH};
use crate::keeper::ServedRoot;
use crate::keeper::inbox::Inbox;
use crate::keeper::state::Counters;
use crate::survey::survey;
use crate::{Changes, DateEntry, Ledger, LedgerError, Look, Lost, Reason, Stamp, Writer};

/// What the keeper knows about the ledger of one name.
#[derive(Debug)]
pub(super) struct Upkeep {
    served: ServedRoot,
    writer: Writer,
    /// Number of the last write that was begun.
    sequence: u64,
    /// Entries of finals that were read once; they never change.
    known: BTreeMap<Partition, DateEntry>,
}

/// Why the upkeep of a name failed.
#[derive(Debug, Error)]
pub(super) enum UpkeepError {
    /// The ledger refused.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store refused.
    #[error("the output cannot be read")]
    Store(#[from] StoreError),
}

/// What upkeep works with.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) counters: Arc<Counters>,
}

impl UpkeepError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Ledger(error) => error.reason(),
            Self::Store(_) => Reason::Store,
        }
    }

    /// The words with those of the causes.
    pub(super) fn words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            words.push_str(&format!(": {error}"));
            cause = error.source();
        }
        words
    }
}

impl Upkeep {
    pub(super) fn new(served: ServedRoot, writer: Writer) -> Self {
        Self { served, writer, sequence: 0, known: BTreeMap::new() }
    }

    pub(super) fn served(&self) -> &ServedRoot {
        &self.served
    }

    /// The stamp of a write by somebody who has seen all earlier ones.
    fn next_stamp(&mut self) -> Stamp {
        let expected = Some(self.sequence);
        Stamp { expected, ..self.rebuilding_stamp() }
    }

    /// The stamp of a write in the course of a rebuild.
    fn rebuilding_stamp(&mut self) -> Stamp {
        self.sequence += 1;
        Stamp {
            root: self.served.root_id.clone(),
            writer: self.writer.clone(),
            expected: None,
            sequence: self.sequence,
        }
    }

    /// Looks whether the ledger is as it was left.
    pub(super) async fn check(&self, tools: &Tools) -> Result<(), UpkeepError> {
        let look = tools.ledger.look(&self.served.name, &self.writer).await?;
        let stamp = Stamp {
            root: self.served.root_id.clone(),
            writer: self.writer.clone(),
            expected: Some(self.sequence),
            sequence: self.sequence,
        };
        Ok(look.admit(&stamp)?)
    }

    /// Writes what was told.
    pub(super) async fn write(
        &mut self,
        tools: &Tools,
        changes: Changes,
    ) -> Result<(), UpkeepError> {
        for (&partition, entry) in &changes.dates {
            self.known.insert(partition, entry.clone());
        }
        for piece in changes.pieces(SHARDS_PER_BATCH, DATES_PER_BATCH) {
            let stamp = self.next_stamp();
            tools.ledger.apply(&self.served.name, &stamp, &piece).await?;
            tools.counters.wrote(piece.shards(), piece.dates.len());
        }
        Ok(())
    }

    /// Makes the ledger say what the store says. Gives the loss that explains what was found
    /// there, if that was not this root's ledger.
    pub(super) async fn rebuild(&mut self, tools: &Tools) -> Result<Option<Lost>, UpkeepError> {
        tools.inbox.open(&self.served.name);
        // The ledger comes first: while it takes no writes the store is left in peace. And what
        // the ledger says is read before the store is asked, so that what the store does not
        // know afterwards is not true.
        let found = self.begin(tools).await?;
        let (entries, runs) = self.contents(tools).await?;
        let ServedRoot { name, root_id, reader } = self.served.clone();
        let survey = survey(&reader, &name, &root_id, &self.known).await?;
        let is_false =
            |(date, entry): &(&Partition, &DateEntry)| survey.dates.get(date) != Some(*entry);
        let closed = runs.difference(&survey.open).cloned().collect();
        let false_dates = entries.iter().filter(is_false);
        let false_dates = false_dates.map(|(date, entry)| (*date, entry.clone())).collect();
        let mut dates = survey.dates.clone();
        dates.retain(|date, entry| entries.get(date) != Some(entry));
        self.apply(tools, Changes { dates, false_dates, closed, ..Changes::default() }).await?;
        for run in &survey.open {
            self.rebuild_run(tools, run, runs.contains(run)).await?;
        }
        let stamp = self.rebuilding_stamp();
        tools.ledger.finish(&name, &stamp).await?;
        tools.counters.rebuilt();
        self.known = survey.dates;
        Ok(found)
    }

    async fn begin(&mut self, tools: &Tools) -> Result<Option<Lost>, UpkeepError> {
        let stamp = self.rebuilding_stamp();
        let found = match tools.ledger.begin(&self.served.name, &stamp).await {
            Err(LedgerError::Damaged { .. }) => {
                self.clear(tools).await?;
                Look::default()
            }
            found => found?,
        };
        // A write that got no answer may have left a higher number than this process knows.
        self.sequence = self.sequence.max(found.sequence.unwrap_or(0));
        Ok(match found.admit(&Stamp { expected: None, ..stamp }) {
            Err(LedgerError::Lost(lost)) => Some(lost),
            _ => None,
        })
    }

    async fn clear(&mut self, tools: &Tools) -> Result<(), UpkeepError> {
        let stamp = self.rebuilding_stamp();
        Ok(tools.ledger.clear(&self.served.name, &stamp).await?)
    }

    /// What the ledger says now; nothing, after removing it, if that cannot be understood.
    async fn contents(
        &mut self,
        tools: &Tools,
    ) -> Result<(BTreeMap<Partition, DateEntry>, BTreeSet<RunId>), UpkeepError> {
        let name = &self.served.name;
        let read =
            async { Ok((tools.ledger.entries(name).await?, tools.ledger.runs(name).await?)) };
        match read.await {
            Err(LedgerError::Damaged { key, found }) => {
                tracing::warn!(%name, key, found, "the ledger is not readable and is made anew");
                self.clear(tools).await?;
                Ok(Default::default())
            }
            read => Ok(read?),
        }
    }

    async fn rebuild_run(
        &mut self,
        tools: &Tools,
        run: &RunId,
        is_kept: bool,
    ) -> Result<(), UpkeepError> {
        let close = || Changes { closed: BTreeSet::from([run.clone()]), ..Changes::default() };
        let listed = match tools.ledger.done(run).await {
            Err(LedgerError::Damaged { key, found }) => {
                tracing::warn!(%run, key, found, "the ledger's shards are not readable");
                self.apply(tools, close()).await?;
                ShardSet::default()
            }
            listed => listed?.into_iter().collect(),
        };
        let decided = self.served.reader.decided_shards(run).await?;
        if decided.is_empty() && (is_kept || !listed.is_empty()) {
            return self.apply(tools, close()).await;
        }
        let missing = difference(&decided, &listed);
        let wrong = difference(&listed, &decided);
        let mut changes = Changes::default();
        if !missing.is_empty() || (!is_kept && !decided.is_empty()) {
            // A set that the list of runs does not name is put there with its first shard.
            let first = decided.iter().take(1);
            let done = if missing.is_empty() { first.collect() } else { missing };
            changes.done.insert(run.clone(), done);
        }
        if !wrong.is_empty() {
            changes.false_done.insert(run.clone(), wrong);
        }
        self.apply(tools, changes).await
    }

    /// Makes changes in the course of a rebuild.
    async fn apply(&mut self, tools: &Tools, changes: Changes) -> Result<(), UpkeepError> {
        for piece in changes.pieces(SHARDS_PER_BATCH, DATES_PER_BATCH) {
            let stamp = self.rebuilding_stamp();
            tools.ledger.apply(&self.served.name, &stamp, &piece).await?;
            tools.counters.wrote(piece.shards(), piece.dates.len());
        }
        Ok(())
    }
}

fn difference(of: &ShardSet, without: &ShardSet) -> Vec<ShardIndex> {
    of.iter().filter(|shard| !without.contains(*shard)).collect()
}

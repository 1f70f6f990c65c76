//! The ledger of a coordinator without Redis: the same index, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nightshift_core::ids::{Partition, RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;

use crate::{
    Changes, DateEntry, Gap, Held, Ledger, LedgerError, Look, Progress, Stamp, VERSION, Writer,
};

/// An index in memory: a byte or ten a shard, gone with the process.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    names: Mutex<BTreeMap<SpecName, Index>>,
}

/// The ledger of one name.
#[derive(Debug, Default)]
struct Index {
    root: Option<RootId>,
    rebuilding: Option<RootId>,
    sequences: BTreeMap<Writer, u64>,
    dates: BTreeMap<Partition, DateEntry>,
    runs: BTreeMap<RunId, BTreeSet<ShardIndex>>,
    progress: BTreeMap<RunId, Progress>,
    gaps: BTreeMap<Partition, Gap>,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, as a server does that is wiped.
    pub fn wipe(&self) {
        self.names().clear();
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<SpecName, Index>> {
        // Every change is made by infallible steps, so a poisoned index is whole.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the index of `name` to `change` if the stamp's write belongs there.
    fn write(
        &self,
        name: &SpecName,
        stamp: &Stamp,
        change: impl FnOnce(&mut Index),
    ) -> Result<(), LedgerError> {
        let mut names = self.names();
        let index = names.entry(name.clone()).or_default();
        index.look(&stamp.writer).admit(stamp)?;
        change(index);
        index.sequences.insert(stamp.writer.clone(), stamp.sequence);
        Ok(())
    }

    fn read<T: Default>(&self, name: &SpecName, read: impl FnOnce(&Index) -> T) -> T {
        self.names().get(name).map(read).unwrap_or_default()
    }
}

impl Index {
    fn look(&self, writer: &Writer) -> Look {
        Look {
            root: self.root.clone(),
            version: self.root.as_ref().map(|_| VERSION),
            rebuilding: self.rebuilding.clone(),
            sequence: self.sequences.get(writer).copied(),
        }
    }

    fn apply(&mut self, root: &RootId, changes: Changes) {
        let runs = self.runs.keys().chain(self.progress.keys()).cloned().collect();
        let held = Held { dates: &self.dates, gaps: &self.gaps, runs: &runs };
        let changes = changes.effective(root, held);
        for partition in changes.false_dates.keys() {
            self.dates.remove(partition);
        }
        self.gaps.retain(|date, _| !changes.dates.contains_key(date));
        self.gaps.extend(changes.gaps);
        self.dates.extend(changes.dates);
        for (run, shards) in changes.done {
            self.runs.entry(run).or_default().extend(shards);
        }
        for (run, shards) in changes.false_done {
            if let Some(done) = self.runs.get_mut(&run) {
                shards.iter().for_each(|shard| {
                    done.remove(shard);
                });
            }
        }
        self.progress.extend(changes.progress);
        self.progress.retain(|run, _| !changes.closed.contains(run));
        self.runs.retain(|run, done| !changes.closed.contains(run) && !done.is_empty());
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn look(&self, name: &SpecName, writer: &Writer) -> Result<Look, LedgerError> {
        Ok(self.read(name, |index| index.look(writer)))
    }

    async fn begin(&self, name: &SpecName, stamp: &Stamp) -> Result<Look, LedgerError> {
        let mut names = self.names();
        let index = names.entry(name.clone()).or_default();
        let found = index.look(&stamp.writer);
        if !found.is_of(&stamp.root) {
            index.root = None;
            index.gaps.clear();
            index.rebuilding = Some(stamp.root.clone());
        }
        index.sequences.insert(stamp.writer.clone(), stamp.sequence);
        Ok(found)
    }

    async fn apply(
        &self,
        name: &SpecName,
        stamp: &Stamp,
        changes: &Changes,
    ) -> Result<(), LedgerError> {
        self.write(name, stamp, |index| index.apply(&stamp.root, changes.clone()))
    }

    async fn finish(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError> {
        self.write(name, stamp, |index| {
            index.root = Some(stamp.root.clone());
            index.rebuilding = None;
        })
    }

    async fn clear(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError> {
        let index = Index {
            rebuilding: Some(stamp.root.clone()),
            sequences: BTreeMap::from([(stamp.writer.clone(), stamp.sequence)]),
            ..Index::default()
        };
        self.names().insert(name.clone(), index);
        Ok(())
    }

    async fn entries(
        &self,
        name: &SpecName,
    ) -> Result<BTreeMap<Partition, DateEntry>, LedgerError> {
        Ok(self.read(name, |index| index.dates.clone()))
    }

    async fn runs(&self, name: &SpecName) -> Result<BTreeSet<RunId>, LedgerError> {
        Ok(self
            .read(name, |index| index.runs.keys().chain(index.progress.keys()).cloned().collect()))
    }

    async fn done(&self, run: &RunId) -> Result<BTreeSet<ShardIndex>, LedgerError> {
        Ok(self.read(&run.name, |index| index.runs.get(run).cloned().unwrap_or_default()))
    }

    async fn progress(&self, run: &RunId) -> Result<Option<Progress>, LedgerError> {
        Ok(self.read(&run.name, |index| index.progress.get(run).copied()))
    }

    async fn dates(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, DateEntry>, LedgerError> {
        let names = self.names();
        let empty = Index::default();
        let index = names.get(name).unwrap_or(&empty);
        index.look(&Writer::passing()).believe(root)?;
        let found = partitions.iter().filter_map(|date| index.dates.get(date));
        let ours = found.filter(|entry| entry.root == *root);
        Ok(ours.map(|entry| (entry.partition(), entry.clone())).collect())
    }

    async fn gaps(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, Gap>, LedgerError> {
        let names = self.names();
        let empty = Index::default();
        let index = names.get(name).unwrap_or(&empty);
        index.look(&Writer::passing()).believe(root)?;
        let found = partitions.iter().filter_map(|date| Some((*date, index.gaps.get(date)?)));
        let ours = found.filter(|(_, gap)| gap.root == *root);
        Ok(ours.map(|(date, gap)| (date, gap.clone())).collect())
    }
}

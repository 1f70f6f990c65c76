//! What was told and not written yet: bounded, and never in the way of who tells.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use nightshift_core::conclusion::Final;
use nightshift_core::ids::{Partition, RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;
use nightshift_storage::Reader;
use tokio::sync::Notify;

use crate::keeper::ServedRoot;
use crate::{Changes, DateEntry, Gap, Progress};

/// Shards and dates of one name that wait to be written: 26 s at 10,000 a second, longer than
/// a rebuild takes that lists a million records meanwhile, in a megabyte. Beyond that the name
/// is rebuilt from the store.
pub(super) const PENDING_MAX: usize = 262_144;

/// What handles and task share.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    letters: Mutex<Letters>,
    /// Wakes the task; one permit stands for any number of letters.
    bell: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    names: BTreeMap<SpecName, Slot>,
    /// How often something was told.
    told: u64,
    is_stopping: bool,
}

#[derive(Debug)]
struct Slot {
    reader: Reader,
    root: RootId,
    /// A rebuild was asked for since the task looked last.
    is_fresh: bool,
    /// Whether what is told is kept. While the name is behind it is not: the store will say it.
    is_open: bool,
    /// More was told than is kept.
    has_overflowed: bool,
    pending: usize,
    changes: Changes,
}

/// What the task finds for one name.
#[derive(Debug)]
pub(super) enum Letter {
    /// The name is to be rebuilt: it is served for the first time, or another root is, or
    /// somebody asked.
    Rebuild,
    /// More was told than is kept.
    Overflowed,
    /// To be written; possibly nothing.
    Write(Changes),
}

/// What is left to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advance {
    /// No name waits for a rebuild.
    pub(super) is_calm: bool,
    /// How often something was told, if nothing of it waits.
    pub(super) taken: Option<u64>,
}

impl Inbox {
    fn letters(&self) -> MutexGuard<'_, Letters> {
        // Each change is whole before anything can panic, and losing one costs a rebuild at most.
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Gives whether the name was not served like this before.
    pub(super) fn serve(&self, served: ServedRoot) -> bool {
        let ServedRoot { name, root_id, reader } = served;
        let mut letters = self.letters();
        if let Some(slot) = letters.names.get_mut(&name)
            && slot.root == root_id
        {
            slot.reader = reader;
            return false;
        }
        let slot = Slot {
            reader,
            root: root_id,
            is_fresh: true,
            is_open: false,
            has_overflowed: false,
            pending: 0,
            changes: Changes::default(),
        };
        letters.names.insert(name, slot);
        letters.told += 1;
        self.bell.notify_one();
        true
    }

    /// Gives whether the name is served.
    pub(super) fn reconcile(&self, name: &SpecName) -> bool {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(name) else { return false };
        slot.is_fresh = true;
        slot.shut();
        letters.told += 1;
        self.bell.notify_one();
        true
    }

    pub(super) fn shard(&self, run: &RunId, shard: ShardIndex) {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(&run.name) else { return };
        if slot.has_room() {
            match slot.changes.done.get_mut(run) {
                Some(shards) => shards.push(shard),
                None => {
                    slot.changes.done.insert(run.clone(), vec![shard]);
                }
            }
        }
        letters.told += 1;
        self.bell.notify_one();
    }

    pub(super) fn progress_of(&self, run: &RunId, progress: Progress) {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(&run.name) else { return };
        // The latest is enough, so another one of the same run takes no room.
        if slot.changes.progress.contains_key(run) || slot.has_room() {
            slot.changes.progress.insert(run.clone(), progress);
        }
        letters.told += 1;
        self.bell.notify_one();
    }

    pub(super) fn miss(&self, name: &SpecName, partition: Partition, now: Timestamp) {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(name) else { return };
        if slot.changes.gaps.contains_key(&partition) || slot.has_room() {
            let gap = Gap::first(&slot.root, now);
            slot.changes.miss(partition, gap);
        }
        letters.told += 1;
        self.bell.notify_one();
    }

    pub(super) fn conclude(&self, verdict: &Final) {
        self.note(verdict, |entry| entry);
    }

    pub(super) fn approve(&self, verdict: &Final) {
        self.note(verdict, DateEntry::published);
    }

    fn note(&self, verdict: &Final, stands: fn(DateEntry) -> DateEntry) {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(&verdict.run.name) else { return };
        if slot.has_room() {
            slot.changes.conclude(stands(DateEntry::new(&slot.root, verdict)));
        }
        letters.told += 1;
        self.bell.notify_one();
    }

    pub(super) fn stop(&self) {
        self.letters().is_stopping = true;
        self.bell.notify_one();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.letters().is_stopping
    }

    pub(super) fn told(&self) -> u64 {
        self.letters().told
    }

    /// How far the task has come with what was told.
    pub(super) fn advance(&self) -> Advance {
        let letters = self.letters();
        let is_calm = |slot: &Slot| !slot.is_fresh && !slot.has_overflowed;
        let is_taken = |slot: &Slot| is_calm(slot) && slot.changes.is_empty();
        Advance {
            is_calm: letters.names.values().all(is_calm),
            taken: letters.names.values().all(is_taken).then_some(letters.told),
        }
    }

    pub(super) fn names(&self) -> Vec<SpecName> {
        self.letters().names.keys().cloned().collect()
    }

    pub(super) fn served(&self, name: &SpecName) -> Option<ServedRoot> {
        let letters = self.letters();
        let slot = letters.names.get(name)?;
        let (root_id, reader) = (slot.root.clone(), slot.reader.clone());
        Some(ServedRoot { name: name.clone(), root_id, reader })
    }

    /// Takes what waits for a name.
    pub(super) fn take(&self, name: &SpecName) -> Letter {
        let mut letters = self.letters();
        let Some(slot) = letters.names.get_mut(name) else {
            return Letter::Write(Changes::default());
        };
        if std::mem::take(&mut slot.is_fresh) {
            return Letter::Rebuild;
        }
        if std::mem::take(&mut slot.has_overflowed) {
            return Letter::Overflowed;
        }
        slot.pending = 0;
        Letter::Write(std::mem::take(&mut slot.changes))
    }

    /// Keeps what is told from now on. What was told before is in the store, which a rebuild
    /// asks after this.
    pub(super) fn open(&self, name: &SpecName) {
        if let Some(slot) = self.letters().names.get_mut(name) {
            slot.shut();
            slot.is_open = true;
            slot.has_overflowed = false;
        }
    }

    /// Keeps nothing until a rebuild begins.
    pub(super) fn shut(&self, name: &SpecName) {
        if let Some(slot) = self.letters().names.get_mut(name) {
            slot.shut();
        }
    }
}

impl Slot {
    fn shut(&mut self) {
        self.is_open = false;
        self.pending = 0;
        self.changes = Changes::default();
    }

    /// Counts one more, if it is to be kept.
    fn has_room(&mut self) -> bool {
        if !self.is_open {
            return false;
        }
        self.pending += 1;
        if self.pending <= PENDING_MAX {
            return true;
        }
        self.shut();
        self.has_overflowed = true;
        false
    }
}

#[cfg(test)]
mod tests;

//! What is written to a ledger together.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_core::ids::{Partition, RunId, ShardIndex};
use nightshift_core::root::RootId;

use crate::entry::{DateEntry, Gap, Progress};

/// Shards in one transaction: a few milliseconds of the server's time, 30 kB on the wire.
pub(crate) const SHARDS_PER_BATCH: usize = 4096;
/// Dates in one transaction: 200 kB on the wire.
pub(crate) const DATES_PER_BATCH: usize = 512;

/// Changes to the ledger of one name; the facts are true in the store before they are here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Dates that were concluded. Their runs' shards are forgotten with it.
    pub dates: BTreeMap<Partition, DateEntry>,
    /// Shards that have a record.
    pub done: BTreeMap<RunId, Vec<ShardIndex>>,
    /// Entries that are not true, as they were read.
    pub false_dates: BTreeMap<Partition, DateEntry>,
    /// Shards that are not done.
    pub false_done: BTreeMap<RunId, Vec<ShardIndex>>,
    /// Runs whose shards need not be kept.
    pub closed: BTreeSet<RunId>,
    /// How far runs are.
    pub progress: BTreeMap<RunId, Progress>,
    /// Dates whose input was missed; that of a date which is concluded is forgotten.
    pub gaps: BTreeMap<Partition, Gap>,
}

/// What a ledger has for the dates and runs that a write touches.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Entries of the dates.
    pub dates: &'a BTreeMap<Partition, DateEntry>,
    /// Gaps of the dates whose input was missed.
    pub gaps: &'a BTreeMap<Partition, Gap>,
    /// Runs that shards are kept of.
    pub runs: &'a BTreeSet<RunId>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self { dates, done, false_dates, false_done, closed, progress, gaps } = self;
        dates.is_empty()
            && done.is_empty()
            && false_dates.is_empty()
            && false_done.is_empty()
            && closed.is_empty()
            && progress.is_empty()
            && gaps.is_empty()
    }

    /// How many shards are added.
    pub fn shards(&self) -> usize {
        self.done.values().map(Vec::len).sum()
    }

    /// Adds the entry of a concluded date, unless a later one is there.
    pub fn conclude(&mut self, entry: DateEntry) {
        let held = self.dates.entry(entry.partition()).or_insert_with(|| entry.clone());
        if entry.is_at_least(held) {
            *held = entry;
        }
    }

    /// Adds a look for the input of a date, in vain.
    pub fn miss(&mut self, partition: Partition, gap: Gap) {
        let gap = gap.after(self.gaps.get(&partition));
        self.gaps.insert(partition, gap);
    }

    /// Cuts the changes into pieces of at most `shards_max` shards and `dates_max` dates or gaps.
    /// Dates and closed runs come first: they make shards and gaps needless.
    pub fn pieces(self, shards_max: usize, dates_max: usize) -> Vec<Self> {
        let Self { dates, done, false_dates, false_done, closed, progress, gaps } = self;
        let mut pieces = Vec::new();
        if !closed.is_empty() || !false_dates.is_empty() {
            // An entry that is replaced because it is false is removed by the same transaction.
            let (replaced, dates): (BTreeMap<_, _>, BTreeMap<_, _>) =
                dates.into_iter().partition(|(date, _)| false_dates.contains_key(date));
            pieces.push(Self { closed, false_dates, dates: replaced, ..Self::default() });
            pieces.extend(pieces_of_dates(dates, dates_max));
        } else {
            pieces.extend(pieces_of_dates(dates, dates_max));
        }
        let gaps = pieces_of(gaps, dates_max);
        pieces.extend(gaps.map(|gaps| Self { gaps, ..Self::default() }));
        let mut piece = Self::default();
        let mut room = shards_max.max(1);
        for (is_true, runs) in [(true, done), (false, false_done)] {
            for (run, shards) in runs {
                let mut rest = shards.as_slice();
                while let Some((now, later)) = rest.split_at_checked(room.min(rest.len()))
                    && !now.is_empty()
                {
                    let into = if is_true { &mut piece.done } else { &mut piece.false_done };
                    into.entry(run.clone()).or_default().extend_from_slice(now);
                    (rest, room) = (later, room - now.len());
                    if room == 0 {
                        pieces.push(std::mem::take(&mut piece));
                        room = shards_max.max(1);
                    }
                }
            }
        }
        piece.progress = progress;
        pieces.push(piece);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// The dates that these changes touch.
    pub fn partitions(&self) -> BTreeSet<Partition> {
        let runs = self.done.keys().chain(self.false_done.keys()).chain(self.progress.keys());
        let runs = runs.map(|run| run.partition);
        let dates = self.dates.keys().chain(self.false_dates.keys()).chain(self.gaps.keys());
        dates.copied().chain(runs).collect()
    }

    /// What remains to be done to a ledger of `root` that has this.
    ///
    /// Another process may have been faster: a date never goes back to an earlier generation,
    /// or to what its gate withheld before it was approved; an entry is removed only as long as it is the one that was read, shards of a run that is
    /// concluded are not kept, and a gap of a date that is done is none. That makes it harmless to apply changes late, twice, or
    /// beside another writer.
    #[must_use]
    pub fn effective(mut self, root: &RootId, held: Held<'_>) -> Self {
        let Held { dates: current, gaps: missed, runs } = held;
        self.false_dates.retain(|partition, read| current.get(partition) == Some(read));
        self.dates.retain(|partition, entry| match current.get(partition) {
            Some(held) if held.root == *root && !self.false_dates.contains_key(partition) => {
                entry.is_at_least(held)
            }
            _ => true,
        });
        let true_dates = current.iter().filter(|(date, _)| !self.false_dates.contains_key(date));
        let concluded: BTreeMap<&Partition, &DateEntry> = true_dates.chain(&self.dates).collect();
        let concludes = |run: &RunId| {
            concluded.get(&run.partition).is_some_and(|entry| entry.concludes(root, run))
        };
        self.gaps
            .retain(|date, gap| !concluded.get(date).is_some_and(|entry| gap.is_closed_by(entry)));
        for (date, gap) in &mut self.gaps {
            *gap = gap.clone().after(missed.get(date));
        }
        self.done.retain(|run, shards| !shards.is_empty() && !concludes(run));
        self.false_done.retain(|run, shards| !shards.is_empty() && !concludes(run));
        self.progress.retain(|run, _| !concludes(run));
        self.closed.extend(runs.iter().filter(|run| concludes(run)).cloned());
        // A run that somebody closes and somebody else adds to is under way after all.
        self.closed.retain(|run| !self.done.contains_key(run) && !self.progress.contains_key(run));
        self
    }
}

fn pieces_of_dates(
    dates: BTreeMap<Partition, DateEntry>,
    dates_max: usize,
) -> impl Iterator<Item = Changes> {
    pieces_of(dates, dates_max).map(|dates| Changes { dates, ..Changes::default() })
}

/// The map in pieces of at most `max` entries.
fn pieces_of<T>(
    mut rest: BTreeMap<Partition, T>,
    max: usize,
) -> impl Iterator<Item = BTreeMap<Partition, T>> {
    std::iter::from_fn(move || {
        let next = rest.keys().nth(max.max(1)).copied();
        let later = next.map(|next| rest.split_off(&next)).unwrap_or_default();
        Some(std::mem::replace(&mut rest, later)).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests;

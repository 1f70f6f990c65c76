//! What a keeper says about itself.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::Reason;

/// Whether the ledger says all that the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerState {
    /// It does, as far as this process was told; or nothing is served.
    Current,
    /// It says less: runs go on, and it is caught up as soon as that is possible.
    Behind {
        /// Why, as a short stable word; of the name that has been behind for longest.
        reason: Reason,
        /// Why, for people.
        why: String,
        /// Since when.
        since: Timestamp,
        /// How many names are behind.
        names: usize,
    },
}

/// What a keeper has done so far; monotonic.
#[derive(Debug, Default)]
pub struct Counters {
    batches: AtomicU64,
    shards: AtomicU64,
    dates: AtomicU64,
    rebuilds: AtomicU64,
    errors: [AtomicU64; Reason::ALL.len()],
}

impl LedgerState {
    /// Whether the ledger is up to date.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Current)
    }
}

impl Counters {
    /// Transactions that were carried out.
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Shards that were written, again after a loss included.
    pub fn shards(&self) -> u64 {
        self.shards.load(Ordering::Relaxed)
    }

    /// Dates that were written.
    pub fn dates(&self) -> u64 {
        self.dates.load(Ordering::Relaxed)
    }

    /// Rebuilds that came to their end; one for each name that is served, and one for each loss.
    pub fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::Relaxed)
    }

    /// Failures by reason, those that never happened included.
    pub fn errors(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let counts = self.errors.iter().map(|count| count.load(Ordering::Relaxed));
        Reason::ALL.into_iter().zip(counts)
    }

    pub(super) fn wrote(&self, shards: usize, dates: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.shards.fetch_add(shards as u64, Ordering::Relaxed);
        self.dates.fetch_add(dates as u64, Ordering::Relaxed);
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, reason: Reason) {
        // `ALL` has the reasons in their order; a test sees to that.
        if let Some(count) = self.errors.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_word() {
        let counters = Counters::default();
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            (0..=place).for_each(|_| counters.failed(reason));
        }
        for (place, (reason, count)) in counters.errors().enumerate() {
            assert_eq!((reason, count), (Reason::ALL[place], place as u64 + 1));
        }
        let words: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}

//! The median of how long attempts took.

use std::collections::{BTreeSet, VecDeque};

/// How many of the newest durations count: enough for a steady median, and a run of a million
/// shards needs no more memory than one of a thousand.
pub const DURATIONS_KEPT: usize = 1_024;

/// Running median over a window, as two ordered halves: O(log [`DURATIONS_KEPT`]) a value.
///
/// Values are paired with their number, so that equal durations are different members. `low`
/// has as many members as `high`, or one more; its greatest is the (lower) median.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Median {
    window: VecDeque<(u64, u64)>,
    low: BTreeSet<(u64, u64)>,
    high: BTreeSet<(u64, u64)>,
    next: u64,
}

impl Median {
    pub(super) fn len(&self) -> usize {
        self.window.len()
    }

    /// The median in milliseconds; none before the first value.
    pub(super) fn get_ms(&self) -> Option<u64> {
        self.low.last().map(|(ms, _)| *ms)
    }

    pub(super) fn add_ms(&mut self, ms: u64) {
        if self.window.len() == DURATIONS_KEPT
            && let Some(oldest) = self.window.pop_front()
            && !self.low.remove(&oldest)
        {
            self.high.remove(&oldest);
        }
        let value = (ms, self.next);
        self.next = self.next.wrapping_add(1);
        self.window.push_back(value);
        if self.high.first().is_some_and(|least| *least < value) {
            self.high.insert(value);
        } else {
            self.low.insert(value);
        }
        while self.low.len() > self.high.len() + 1 {
            self.high.extend(self.low.pop_last());
        }
        while self.high.len() > self.low.len() {
            self.low.extend(self.high.pop_first());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against sorting, over windows that overflow.
        #[test]
        fn it_is_the_middle_of_the_newest(values in prop::collection::vec(0_u64..50, 1..3_000)) {
            let mut median = Median::default();
            for (n, value) in values.iter().enumerate() {
                median.add_ms(*value);
                if n % 97 == 0 || n + 1 == values.len() {
                    let from = (n + 1).saturating_sub(DURATIONS_KEPT);
                    let mut newest = values[from..=n].to_vec();
                    newest.sort_unstable();
                    prop_assert_eq!(median.get_ms(), Some(newest[(newest.len() - 1) / 2]));
                    prop_assert_eq!(median.len(), newest.len());
                }
            }
        }
    }
}

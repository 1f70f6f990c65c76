//! Rows by what became of them.

use std::collections::BTreeMap;

use crate::conclusion::Totals;
use crate::record::{Record, Verdict};

/// The reasons for rejects that workers of this release give; each is a series.
pub const REJECT_REASONS: [&str; 6] = [
    "bad_value",
    "malformed_row",
    "missing_value",
    "not_finite",
    "result_not_finite",
    "unknown_category",
];
/// What every other reason is counted as: a worker of another kind may give any, and a series
/// for each would have no bound.
pub const OTHER_REASON: &str = "other";

/// Rows of runs, without those that were inherited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// Rows in outputs.
    pub scored: u64,
    /// Rows in rejects.
    pub rejected: u64,
    /// Rows of shards that were given up.
    pub quarantined: u64,
    /// Rejected rows by reason: one of [`REJECT_REASONS`], or [`OTHER_REASON`].
    pub by_reason: BTreeMap<&'static str, u64>,
}

impl Sums {
    /// What a run did itself, by its totals; none if that does not follow from them.
    ///
    /// A run that inherited takes committed shards of one earlier run, with their rows. If it
    /// took as many as that run had committed, it took all of them, and their rows are that
    /// run's.
    pub fn of_own(totals: &Totals, before: Option<&Totals>) -> Option<Self> {
        let all = Self::of(totals);
        if totals.inherited == 0 {
            return Some(all);
        }
        let before = before.filter(|before| before.committed == totals.inherited)?;
        let inherited = Self { quarantined: 0, ..Self::of(before) };
        Some(all.without(&inherited))
    }

    fn of(totals: &Totals) -> Self {
        Self {
            scored: totals.rows_out,
            rejected: totals.rows_rejected,
            quarantined: totals.rows_quarantined,
            by_reason: by_reason(&totals.rejects_by_reason),
        }
    }

    /// Adds one record of a shard with `rows` rows.
    pub(super) fn add_record(&mut self, record: &Record, rows: u64) {
        match &record.verdict {
            Verdict::Committed(committed) => self.merge(&Self {
                scored: committed.rows_out,
                rejected: committed.rows_rejected,
                quarantined: 0,
                by_reason: by_reason(&committed.rejects_by_reason),
            }),
            Verdict::Quarantined(_) => self.quarantined = self.quarantined.saturating_add(rows),
        }
    }

    /// Adds the rows of others.
    pub fn merge(&mut self, others: &Self) {
        self.scored = self.scored.saturating_add(others.scored);
        self.rejected = self.rejected.saturating_add(others.rejected);
        self.quarantined = self.quarantined.saturating_add(others.quarantined);
        for (reason, count) in &others.by_reason {
            let sum = self.by_reason.entry(reason).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    fn without(mut self, others: &Self) -> Self {
        self.scored = self.scored.saturating_sub(others.scored);
        self.rejected = self.rejected.saturating_sub(others.rejected);
        self.quarantined = self.quarantined.saturating_sub(others.quarantined);
        for (reason, count) in &others.by_reason {
            if let Some(sum) = self.by_reason.get_mut(reason) {
                *sum = sum.saturating_sub(*count);
            }
        }
        self
    }
}

fn by_reason(found: &BTreeMap<String, u64>) -> BTreeMap<&'static str, u64> {
    let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (reason, count) in found {
        let known = REJECT_REASONS.iter().find(|known| *known == reason);
        let sum = sums.entry(known.copied().unwrap_or(OTHER_REASON)).or_default();
        *sum = sum.saturating_add(*count);
    }
    sums
}

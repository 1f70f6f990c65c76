//! The circuit breaker: when attempts keep failing alike, more of them only burn budgets.

use std::collections::{BTreeMap, VecDeque};

use super::{Effect, Moment};
use crate::record::FailureClass;

/// Parts of the window: a tenth of a minute for the window of the design. Counts leave the
/// window part by part, so memory does not grow with the number of attempts.
const BUCKETS: u64 = 50;
/// Most kinds of failure that are told apart at a time; reasons come from workers.
const KINDS_MAX: usize = 64;
/// Longest reason that is told apart, in characters.
const REASON_MAX_CHARS: usize = 64;
/// Name of all kinds beyond [`KINDS_MAX`].
const OTHER: &str = "other";

/// When grants stop, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BreakerRules {
    /// How far back attempts count.
    pub window_ms: u64,
    /// Attempts that must have ended in that time; fewer prove nothing.
    pub ended_min: u64,
    /// How long grants stop, unless an attempt succeeds before.
    pub pause_ms: u64,
}

impl BreakerRules {
    /// Five minutes as in the design, 10 attempts, a pause of one minute.
    pub const DEFAULT: Self = Self { window_ms: 300_000, ended_min: 10, pause_ms: 60_000 };
}

type Kind = (FailureClass, String);

/// Counts of ended attempts, and whether grants are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Breaker {
    rules: BreakerRules,
    buckets: VecDeque<Bucket>,
    ended: u64,
    failed: BTreeMap<Kind, u64>,
    open_until: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bucket {
    from: Moment,
    ended: u64,
    failed: BTreeMap<Kind, u64>,
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules) -> Self {
        let (buckets, failed) = (VecDeque::new(), BTreeMap::new());
        Self { rules, buckets, ended: 0, failed, open_until: None }
    }

    pub(super) fn open_until(&self) -> Option<Moment> {
        self.open_until
    }

    /// Closes when the pause is over. What was counted is forgotten: it takes as many failures
    /// as before to open again.
    pub(super) fn time_passed(&mut self, now: Moment) -> Option<Effect> {
        self.open_until.filter(|until| *until <= now)?;
        *self = Self::new(self.rules);
        Some(Effect::ReportGrantsResumed)
    }

    pub(super) fn succeeded(&mut self, now: Moment) -> Option<Effect> {
        if self.open_until.is_some() {
            *self = Self::new(self.rules);
            self.count(now, None);
            return Some(Effect::ReportGrantsResumed);
        }
        self.count(now, None);
        None
    }

    pub(super) fn failed(
        &mut self,
        now: Moment,
        class: FailureClass,
        reason: &str,
    ) -> Option<Effect> {
        if class == FailureClass::Preempted || self.open_until.is_some() {
            return None;
        }
        let mut kind: Kind = (class, reason.chars().take(REASON_MAX_CHARS).collect());
        if self.failed.len() >= KINDS_MAX && !self.failed.contains_key(&kind) {
            kind = (class, OTHER.to_owned());
        }
        let failed = self.count(now, Some(&kind));
        if self.ended < self.rules.ended_min || failed.saturating_mul(2) <= self.ended {
            return None;
        }
        let until = now.after_ms(self.rules.pause_ms);
        self.open_until = Some(until);
        let (class, reason) = kind;
        Some(Effect::ReportGrantsStopped { class, reason, failed, ended: self.ended, until })
    }

    /// Counts one attempt and returns how many in the window failed like it.
    fn count(&mut self, now: Moment, kind: Option<&Kind>) -> u64 {
        let width = (self.rules.window_ms / BUCKETS).max(1);
        while let Some(oldest) = self.buckets.front()
            && now.since_ms(oldest.from) >= self.rules.window_ms
        {
            self.ended -= oldest.ended;
            for (kind, count) in &oldest.failed {
                let left = self.failed.get(kind).map_or(0, |all| all.saturating_sub(*count));
                if left == 0 {
                    self.failed.remove(kind);
                } else {
                    self.failed.insert(kind.clone(), left);
                }
            }
            self.buckets.pop_front();
        }
        if self.buckets.back().is_none_or(|newest| now.since_ms(newest.from) >= width) {
            self.buckets.push_back(Bucket { from: now, ended: 0, failed: BTreeMap::new() });
        }
        self.ended += 1;
        if let Some(bucket) = self.buckets.back_mut() {
            bucket.ended += 1;
            if let Some(kind) = kind {
                *bucket.failed.entry(kind.clone()).or_default() += 1;
            }
        }
        let Some(kind) = kind else { return 0 };
        let all = self.failed.entry(kind.clone()).or_default();
        *all += 1;
        *all
    }
}

//! What a failed attempt means for its shard: again at once, after a pause, or never.

use crate::record::FailureClass;

/// Bounds on attempts, so that none goes on for ever (I9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryRules {
    /// Attempts that may end as lost before the shard is given up.
    pub crash_budget: u32,
    /// Attempts that may end as transient before the shard is given up.
    pub transient_budget: u32,
    /// First pause after a transient failure; it doubles each time.
    pub pause_ms: u64,
    /// Longest pause.
    pub pause_max_ms: u64,
}

impl RetryRules {
    /// The rules of the design: 8 transient failures, pauses of 1 to 60 s.
    pub fn with_crash_budget(crash_budget: u32) -> Self {
        Self { crash_budget, transient_budget: 8, pause_ms: 1_000, pause_max_ms: 60_000 }
    }
}

/// What the attempts of one shard came to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Standing {
    lost: u16,
    transient: u16,
    preempted: u16,
}

/// What to do with a shard after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    AtOnce,
    After {
        ms: u64,
    },
    /// A budget is used up: no further attempt, but one that is under way may still succeed.
    NoMore {
        class: FailureClass,
    },
    /// No attempt can succeed.
    GiveUp,
}

impl Standing {
    /// Attempts that ended without a record.
    pub fn attempts(self) -> u32 {
        u32::from(self.lost) + u32::from(self.transient) + u32::from(self.preempted)
    }

    /// Those of them whose worker was told to go.
    pub fn preempted(self) -> u32 {
        self.preempted.into()
    }

    /// Counts one more failed attempt and says what follows.
    pub(super) fn after(&mut self, class: FailureClass, rules: &RetryRules) -> Next {
        match class {
            // Being told to go is nobody's fault: it never uses up a budget.
            FailureClass::Preempted => self.preempted = self.preempted.saturating_add(1),
            FailureClass::Lost => self.lost = self.lost.saturating_add(1),
            FailureClass::Transient => self.transient = self.transient.saturating_add(1),
            FailureClass::Data | FailureClass::Config | FailureClass::Cancelled => {
                return Next::GiveUp;
            }
        }
        // A counter that is full counts as used up, so that a huge budget is still a bound.
        let over = |count: u16, budget| u32::from(count) > budget || count == u16::MAX;
        if over(self.lost, rules.crash_budget) {
            return Next::NoMore { class: FailureClass::Lost };
        }
        if over(self.transient, rules.transient_budget) {
            return Next::NoMore { class: FailureClass::Transient };
        }
        if class == FailureClass::Transient {
            let doublings = u32::from(self.transient.saturating_sub(1)).min(20);
            let ms = rules.pause_ms.saturating_mul(1 << doublings).min(rules.pause_max_ms);
            return Next::After { ms };
        }
        Next::AtOnce
    }
}

//! Pauses between tries of something that fails.

use std::time::Duration;

/// First pause.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Pauses that double, with jitter, so that many who failed together do not try again together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub(super) fn failures(self) -> u32 {
        self.failures
    }

    /// It failed: how long to wait, where `random` is any number.
    pub(super) fn pause(&mut self, random: u64) -> Duration {
        let whole = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // Between the half and the whole.
        let half = whole / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_millis(random % spread)
    }
}

/// Any number, for jitter alone.
pub(super) fn random() -> u64 {
    ulid::Ulid::generate().random() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_again() {
        let mut backoff = Backoff::default();
        let mut longest = Duration::ZERO;
        for failure in 0..200u32 {
            let pause = backoff.pause(u64::from(failure).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            assert!(pause >= PAUSE_MIN / 2 && pause <= PAUSE_MAX, "{pause:?}");
            longest = longest.max(pause);
        }
        assert!(longest > PAUSE_MAX / 2);
        backoff.reset();
        assert!(backoff.pause(7) <= PAUSE_MIN);
    }
}

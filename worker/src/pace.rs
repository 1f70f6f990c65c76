//! A limit on rows a second, for stores and databases that others use too.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest sleep before looking whether to go on.
const NAP: Duration = Duration::from_millis(50);

/// Time that is saved up while no rows are booked: the time in which a batch was worked on counts,
/// and a burst after a pause stays small.
const SAVED: Duration = Duration::from_millis(250);

/// A limit that all threads of one process share. It is kept over time, not within a batch: a
/// batch is worked on at full speed, and then its thread waits.
#[derive(Debug)]
pub struct Pace {
    rows_per_second: NonZeroU64,
    /// Until when the rows so far may take.
    paid_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `rows_per_second` rows a second.
    pub fn new(rows_per_second: NonZeroU64) -> Self {
        Self { rows_per_second, paid_until: Mutex::default() }
    }

    /// Waits until `rows` more rows are within the limit, or `go_on` says no.
    pub fn wait(&self, rows: u64, go_on: impl Fn() -> bool) {
        let until = self.book(rows, Instant::now());
        while go_on() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Books `rows` at `now`; returns when they are paid for.
    fn book(&self, rows: u64, now: Instant) -> Instant {
        let cost = Duration::from_secs_f64(rows as f64 / self.rows_per_second.get() as f64);
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid_until.map_or(now, |until| until.max(now.checked_sub(SAVED).unwrap_or(now)));
        let until = from + cost;
        *paid_until = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_paid_for_one_after_the_other_and_little_idle_time_is_saved() {
        let pace = Pace::new(NonZeroU64::new(1_000).unwrap());
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(pace.book(500, at(0)), at(500));
        assert_eq!(pace.book(500, at(100)), at(1_000), "two threads share the limit");
        assert_eq!(pace.book(100, at(5_000)), at(4_850));
        assert_eq!(pace.book(500, at(5_000)), at(5_350), "a burst is not for ever");
    }

    #[test]
    fn whoever_is_told_to_stop_does_not_wait() {
        let pace = Pace::new(NonZeroU64::MIN);
        // It would take a year.
        pace.wait(31_536_000, || false);
    }
}

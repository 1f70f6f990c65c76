//! What the threads of a pool spend on nothing that counts, until a record takes it along.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use nightshift_core::record::{Overhead, Timing};

/// An account that the next record of this process settles.
#[derive(Debug, Default)]
pub(super) struct Account {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    overhead: Overhead,
    /// Threads that wait for a shard, each with the moment up to which it has been charged.
    waiting: HashMap<ThreadId, Instant>,
}

impl Account {
    /// Charges the time of `work` on this thread as idle, also while it lasts: the last record of
    /// a run is written while the other threads wait.
    pub(super) fn waiting<T>(&self, work: impl FnOnce() -> T) -> T {
        let thread = thread::current().id();
        self.lock().waiting.insert(thread, Instant::now());
        let result = work();
        let mut open = self.lock();
        if let Some(since) = open.waiting.remove(&thread) {
            open.overhead.idle_s += since.elapsed().as_secs_f64();
        }
        result
    }

    /// Charges the loading of a model. If it was waited for, the time of one thread is moved.
    pub(super) fn loaded(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let overhead = &mut self.lock().overhead;
        overhead.load_s += seconds;
        overhead.idle_s = (overhead.idle_s - seconds).max(0.0);
    }

    /// Charges an attempt that came to nothing.
    pub(super) fn lost(&self, time: Duration) {
        self.lock().overhead.lost_s += time.as_secs_f64();
    }

    /// Takes what is charged so far, for a record that is about to be written.
    pub(super) fn take(&self) -> Overhead {
        let mut open = self.lock();
        let now = Instant::now();
        let ongoing: Duration = open
            .waiting
            .values_mut()
            .map(|since| now.duration_since(std::mem::replace(since, now)))
            .sum();
        let mut overhead = std::mem::take(&mut open.overhead);
        overhead.idle_s += ongoing.as_secs_f64();
        overhead
    }

    /// Charges an attempt whose record does not count, and what that record had taken along.
    pub(super) fn give_back(&self, timing: &Timing) {
        let taken = timing.overhead.unwrap_or_default();
        let overhead = &mut self.lock().overhead;
        overhead.lost_s += timing.read_s + timing.infer_s + timing.write_s + taken.lost_s;
        overhead.load_s += taken.load_s;
        overhead.idle_s += taken.idle_s;
    }

    /// Whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_along_is_charged_once() {
        let account = Account::default();
        account.lost(Duration::from_secs(2));
        account.loaded(Duration::from_secs(1));
        assert_eq!(account.take(), Overhead { load_s: 1.0, lost_s: 2.0, idle_s: 0.0 });
        assert_eq!(account.take(), Overhead::default());
    }

    #[test]
    fn a_record_that_does_not_count_hands_all_of_it_on() {
        let account = Account::default();
        account.loaded(Duration::from_secs(1));
        let overhead = Some(account.take());
        account.give_back(&Timing { read_s: 1.0, infer_s: 2.0, write_s: 3.0, overhead });
        assert_eq!(account.take(), Overhead { load_s: 1.0, lost_s: 6.0, idle_s: 0.0 });
    }

    #[test]
    fn a_wait_is_charged_while_it_lasts_and_no_moment_twice() {
        let account = Account::default();
        let started = Instant::now();
        let during = account.waiting(|| {
            // Counted from here: the wait has begun.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(20) {
                thread::yield_now();
            }
            account.take().idle_s
        });
        let after = account.take().idle_s;
        assert!(during >= 0.02, "{during}");
        assert!(during + after <= started.elapsed().as_secs_f64(), "{during} {after}");
    }

    #[test]
    fn a_model_that_was_waited_for_is_no_idle_time() {
        let account = Account::default();
        account.waiting(|| thread::sleep(Duration::from_millis(2)));
        account.loaded(Duration::from_secs(5));
        assert_eq!(account.take(), Overhead { load_s: 5.0, lost_s: 0.0, idle_s: 0.0 });
    }
}

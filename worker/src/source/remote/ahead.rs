//! How many shards to ask for ahead: enough that no thread ever waits, and no more.
//!
//! A lease that waits behind a long shard is a straggler, since another worker could have done it
//! meanwhile. So a lease is asked for only when some thread will be without work within the
//! *horizon*, the time that it takes to get one. How long a thread is busy is predicted from the
//! rows of its shard and from how fast rows went so far. Pure arithmetic: no clock, no state.

use std::time::Duration;

/// Most leases that wait for one thread: with shards of a few milliseconds they cover the
/// shortest horizon, and a worker that dies takes few with it.
pub(super) const WAITING_PER_THREAD_MAX: usize = 16;

/// Least time that a worker plans ahead: a busy coordinator and a thread that sleeps both answer
/// within it.
const HORIZON_MIN: Duration = Duration::from_millis(100);
/// Round trips that an Acquire is expected to take at worst, queueing included.
const HORIZON_TRIPS: u32 = 4;
/// Longest time that a worker plans ahead, however slow the network is.
const HORIZON_MAX: Duration = Duration::from_secs(5);
/// Shortest time between two looks; a thread that ends early wakes the loop before.
const LOOK_MIN: Duration = Duration::from_millis(5);
/// Longest time between two looks, and the time where nothing can be predicted.
const LOOK_MAX: Duration = Duration::from_millis(250);
/// An attempt that is overdue by more than this is slow for a reason of its own, and nobody knows
/// when it ends. What has waited for as long goes back, so that another worker can have it.
pub(super) const OVERDUE_MAX: Duration = Duration::from_secs(1);

/// What one thread is busy with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct UnderWay {
    /// Rows of the shard.
    pub(super) rows: u64,
    /// Rows that were scored.
    pub(super) rows_done: u64,
    /// When the last of them were, counted from the begin of the attempt.
    pub(super) progress_after: Duration,
    /// How long the attempt has taken.
    pub(super) elapsed: Duration,
}

/// All that the wish depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outlook {
    /// Compute threads.
    pub(super) threads: usize,
    /// Attempts that are being scored, at most one a thread.
    pub(super) under_way: Vec<UnderWay>,
    /// Rows of each shard that is leased and waits; none where they are not known yet.
    pub(super) waiting: Vec<Option<u64>>,
    /// Rows that one thread scores in a second, as far as that is known.
    pub(super) rate: Option<f64>,
    /// Rows of a typical shard, as far as that is known.
    pub(super) typical_rows: Option<u64>,
    /// How far to plan ahead.
    pub(super) horizon: Duration,
}

/// What to ask for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// Leases to ask for.
    pub(super) leases: usize,
    /// When to look again, if nothing happens before.
    pub(super) look_again: Duration,
}

/// How far to plan ahead over a connection on which a call takes `round_trip`.
pub(super) fn horizon(round_trip: Duration) -> Duration {
    round_trip.saturating_mul(HORIZON_TRIPS).clamp(HORIZON_MIN, HORIZON_MAX)
}

/// Longer than anything: nobody can say how long.
const UNKNOWN: Duration = Duration::MAX;

/// How long `rows` take.
fn time(rows: u64, rate: Option<f64>) -> Duration {
    let Some(rate) = rate.filter(|rate| *rate > 0.0) else { return UNKNOWN };
    Duration::try_from_secs_f64(rows as f64 / rate).unwrap_or(UNKNOWN)
}

impl UnderWay {
    /// How long it still takes.
    fn left(&self, rate: Option<f64>) -> Duration {
        let own = (self.rows_done > 0)
            .then(|| self.rows_done as f64 / self.progress_after.as_secs_f64().max(1e-9));
        // Its own rows say more than those of other shards.
        let total = time(self.rows, own.or(rate));
        if total == UNKNOWN || self.elapsed > total.saturating_add(OVERDUE_MAX) {
            return UNKNOWN;
        }
        total.saturating_sub(self.elapsed)
    }
}

impl Outlook {
    /// What to ask for now.
    pub(super) fn wish(&self) -> Wish {
        let mut threads: Vec<Duration> =
            self.under_way.iter().map(|attempt| attempt.left(self.rate)).collect();
        threads.resize(self.threads.max(1), Duration::ZERO);
        for rows in &self.waiting {
            give(&mut threads, self.cost(rows.or(self.typical_rows)));
        }
        let room = self.threads.saturating_mul(WAITING_PER_THREAD_MAX);
        let room = room.saturating_sub(self.waiting.len());
        let mut leases = 0;
        while leases < room && least(&threads) < self.horizon {
            give(&mut threads, self.cost(self.typical_rows));
            leases += 1;
        }
        let look_again = least(&threads).saturating_sub(self.horizon).clamp(LOOK_MIN, LOOK_MAX);
        Wish { leases, look_again }
    }

    /// How long a waiting shard will take. Where that is unknown one is enough to keep a thread
    /// busy.
    fn cost(&self, rows: Option<u64>) -> Duration {
        rows.map_or(UNKNOWN, |rows| time(rows, self.rate))
    }
}

/// Gives work to the thread that is free first.
fn give(threads: &mut [Duration], cost: Duration) {
    if let Some(first) = threads.iter_mut().min() {
        *first = first.saturating_add(cost);
    }
}

/// When the first thread is free.
fn least(threads: &[Duration]) -> Duration {
    threads.iter().copied().min().unwrap_or(UNKNOWN)
}

/// How fast rows go through one thread: a mean in which later attempts count more.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Speed {
    rows: f64,
    seconds: f64,
    shards: f64,
}

/// What an earlier attempt counts after each later one: about the last five matter.
const FADING: f64 = 0.8;

impl Speed {
    /// Takes in an attempt that was scored to its end.
    pub(super) fn add(&mut self, rows: u64, took: Duration) {
        self.rows = self.rows * FADING + rows as f64;
        self.seconds = self.seconds * FADING + took.as_secs_f64();
        self.shards = self.shards * FADING + 1.0;
    }

    /// Rows in a second.
    pub(super) fn rate(&self) -> Option<f64> {
        (self.seconds > 0.0 && self.rows > 0.0).then(|| self.rows / self.seconds)
    }

    /// Rows of a typical shard.
    pub(super) fn typical_rows(&self) -> Option<u64> {
        (self.shards > 0.0).then(|| (self.rows / self.shards) as u64)
    }
}

#[cfg(test)]
mod tests;

//! What the compute threads and the `leases` thread share, and how they wake each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nightshift_core::exit::Exit;
use nightshift_proto::leases::Directive;
use nightshift_proto::leases::acquire::Grant;
use tokio::sync::Notify;

use super::Settings;
use super::contact::Contact;
use super::holdings::Holdings;
use super::works::Works;
use crate::source::Drain;

/// Heartbeats before a grant has named an interval.
const INTERVAL_FIRST: Duration = Duration::from_secs(10);
/// Longest time without a lease after leases have failed for a reason of this host.
const CAUTION_MAX: Duration = Duration::from_secs(60);

/// Everything that is shared.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) drain: Drain,
    state: Mutex<State>,
    /// A thread may find something to do, or the end.
    pub(super) for_threads: Condvar,
    /// Less is held than before.
    pub(super) for_acquires: Notify,
    /// Another heartbeat interval.
    pub(super) for_heartbeats: Notify,
    /// An attempt has ended.
    pub(super) for_reports: Notify,
    /// A lease goes back.
    pub(super) for_releases: Notify,
    /// Something that may be the end.
    pub(super) for_watch: Notify,
}

/// What is behind the lock. Every critical section is a few map operations.
#[derive(Debug)]
pub(super) struct State {
    pub(super) holdings: Holdings,
    pub(super) works: Works,
    pub(super) contact: Contact,
    /// Why this worker ends, once it does.
    pub(super) ending: Option<Ending>,
    /// Leases were let go because a person or the system wants the process to end.
    pub(super) leaving: bool,
    /// A request for work is under way.
    pub(super) acquiring: bool,
    /// When the compute threads and all commits ended.
    pub(super) worked_until: Option<Instant>,
    /// The shortest interval that a grant has named.
    pub(super) interval: Duration,
    pub(super) caution: Caution,
    pub(super) tally: Tally,
}

/// Why a worker ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The coordinator has no more work and never will have.
    Retired,
    /// No run was under way, and the worker was to end then.
    Idle,
    /// A signal, or the coordinator, said to stop and come back another time.
    Drained,
    /// The coordinator did not answer for too long.
    Unavailable {
        /// The last error.
        error: String,
    },
    /// The coordinator refused a call for good.
    Refused {
        /// The exit code.
        exit: Exit,
        /// Its words.
        text: String,
    },
}

/// What this worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Shards that this worker committed.
    pub shards: u64,
    /// Their rows, rejected ones included.
    pub rows: u64,
    /// Shards whose record another attempt had written before.
    pub lost: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Longest time between two heartbeats.
    pub heartbeat_gap_max: Duration,
}

/// Restraint after failures whose cause is this host: a worker that fails at once must not be
/// the one that takes every shard. Each failure in a row doubles the pause.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Caution {
    in_a_row: u32,
    until: Option<Instant>,
}

// === impl Ending ===

impl Ending {
    /// The exit code of the process.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Retired | Self::Idle => Exit::Done,
            Self::Drained => Exit::Temporary,
            Self::Unavailable { .. } => Exit::Unavailable,
            Self::Refused { exit, .. } => *exit,
        }
    }

    /// Whether the coordinator can still be told anything.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }
}

// === impl Caution ===

impl Caution {
    /// An attempt failed because of this host; returns the pause.
    pub(super) fn failed(&mut self, now: Instant) -> Duration {
        let pause = Duration::from_secs(1).saturating_mul(1 << self.in_a_row.min(6));
        let pause = pause.min(CAUTION_MAX);
        // Attempts that ran side by side and met the same cause are one failure.
        if self.until.is_none_or(|until| until <= now) {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.until = Some(now + pause);
        }
        pause
    }

    /// An attempt succeeded here.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How long to ask for nothing.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(settings: Settings, drain: Drain) -> Self {
        let state = State {
            holdings: Holdings::new(settings.threads),
            works: Works::default(),
            contact: Contact::default(),
            ending: None,
            leaving: false,
            acquiring: false,
            worked_until: None,
            interval: INTERVAL_FIRST,
            caution: Caution::default(),
            tally: Tally::default(),
        };
        Self {
            settings,
            drain,
            state: Mutex::new(state),
            for_threads: Condvar::new(),
            for_acquires: Notify::new(),
            for_heartbeats: Notify::new(),
            for_reports: Notify::new(),
            for_releases: Notify::new(),
            for_watch: Notify::new(),
        }
    }

    /// The state is a value that is whole between calls, so a panic elsewhere cannot break it.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until threads are woken, or `longest`.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        longest: Duration,
    ) -> MutexGuard<'a, State> {
        let woken = self.for_threads.wait_timeout(state, longest);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The coordinator answered a call.
    pub(super) fn heard(&self) {
        if self.lock().contact.answered() {
            tracing::warn!(coordinator = %self.settings.coordinator.uri(), "the coordinator answers again");
        }
    }

    /// The coordinator did not answer a call that began at `started`.
    pub(super) fn silent(&self, started: Instant, error: &str) {
        tracing::debug!(error, "a call was not answered");
        self.lock().contact.failed(started, error);
        self.for_watch.notify_one();
    }

    /// Does what the coordinator wants of the worker as a whole.
    pub(super) fn directed(&self, directive: Directive) {
        match directive {
            Directive::Continue => {}
            Directive::Drain => self.end(Ending::Drained),
            Directive::Retire => self.end(Ending::Retired),
        }
    }

    /// Begins to end: no more leases are asked for. The first reason stands, except that a worker
    /// that is cut off cannot end well any more.
    pub(super) fn end(&self, ending: Ending) {
        let mut state = self.lock();
        let stands = state.ending.as_ref().is_some_and(|known| {
            known.is_cut_off() || *known == Ending::Drained || !ending.is_cut_off()
        });
        if stands {
            return;
        }
        tracing::info!(reason = ?ending, "the worker ends");
        let cut_off = ending.is_cut_off();
        state.ending = Some(ending);
        drop(state);
        if cut_off {
            // Attempts would end as reports that nobody takes; commits go on to their end.
            self.drain.request();
        }
        self.for_threads.notify_all();
        self.for_acquires.notify_one();
        self.for_watch.notify_one();
    }

    /// Takes the interval of a grant, if it is shorter than those before.
    pub(super) fn take_interval(&self, grant: &Grant) {
        let wanted = Duration::from_millis(grant.heartbeat_interval_ms.into());
        let mut state = self.lock();
        if wanted < state.interval {
            state.interval = wanted;
            drop(state);
            self.for_heartbeats.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_fails_waits_longer_and_longer_until_it_succeeds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut caution = Caution::default();
        assert_eq!(caution.left(at(0)), Duration::ZERO);
        caution.failed(at(0));
        caution.failed(at(0));
        assert_eq!(caution.left(at(0)), Duration::from_secs(1), "two at once are one failure");
        caution.failed(at(1));
        assert_eq!(caution.left(at(1)), Duration::from_secs(2));
        for round in 1..20 {
            caution.failed(at(round * 100));
        }
        assert_eq!(caution.left(at(1_900)), CAUTION_MAX);
        caution.succeeded();
        assert_eq!(caution.left(at(1_900)), Duration::ZERO);
    }
}

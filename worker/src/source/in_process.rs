//! Leases of a table in this process.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nightshift_core::gates::{Canary, canary, canary_shard};
use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{
    Effect, Event, LeaseSettings, LeaseTable, Moment, RequestId, RetryRules, WorkerId,
};
use nightshift_core::record::{FailureClass, Record};
use nightshift_core::window::Hours;

use super::{Acquired, Attempt, Drain, Failure, RunWork, ShardSource, Verdict};

/// A lease never expires in one process: its holder is a thread that always answers.
const TTL_MS: u64 = u64::MAX / 2;
/// Longest sleep of a thread that waits for work; it is woken by every change before that.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// A thread gets at most this part of the shards that are left.
const FAIR_SHARE: u64 = 16;
/// The threads of this process are one worker to the table.
const WORKER: WorkerId = WorkerId(0);

/// A lease table behind a lock, with a clock.
#[derive(Debug)]
pub struct InProcess {
    work: Arc<RunWork>,
    table: Mutex<LeaseTable>,
    /// Number of the last request; threads ask under the table's lock, so numbers only grow.
    requests: AtomicU64,
    changed: Condvar,
    started: Instant,
    drain: Drain,
    hours: Option<Hours>,
}

impl InProcess {
    /// A source over the shards of `work` of which `decided` are done, granted in `order`, owned
    /// by incarnation `epoch` of the run. Outside of `hours` it hands out nothing more.
    pub fn new(
        work: Arc<RunWork>,
        epoch: u64,
        decided: &BTreeSet<ShardIndex>,
        order: impl IntoIterator<Item = ShardIndex>,
        drain: Drain,
        hours: Option<Hours>,
    ) -> Self {
        let retry = RetryRules::with_crash_budget(work.plan().task.crash_budget);
        // No backups, as one process cannot race itself; no breaker, as a person sees what fails.
        let settings = LeaseSettings { ttl_ms: TTL_MS, retry, backup: None, breaker: None };
        let mut table = LeaseTable::new(settings, epoch, work.plan().shard_count(), decided, order);
        // Whoever opened the run has judged the canary if it was decided before.
        if let Some(canary) = canary_shard(&**work.plan()).filter(|shard| !decided.contains(shard))
        {
            table = table.with_canary(canary);
        }
        Self {
            work,
            table: Mutex::new(table),
            requests: AtomicU64::new(0),
            changed: Condvar::new(),
            started: Instant::now(),
            drain,
            hours,
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The table is a value that is whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> MutexGuard<'_, LeaseTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        let closed = |hours: &Hours| hours.closed_until(Timestamp::now()).is_some();
        self.hours.as_ref().is_some_and(closed)
    }

    fn apply(&self, event: Event) -> Vec<Effect> {
        let now = self.now();
        let effects = self.lock().apply(now, event);
        self.changed.notify_all();
        effects
    }
}

impl ShardSource for InProcess {
    fn acquire(&self, max: u32) -> Acquired {
        let mut table = self.lock();
        loop {
            let now = self.now();
            if self.is_closed() {
                return Acquired::Retire;
            }
            if self.drain.is_requested() {
                table.apply(now, Event::DrainRequested);
            }
            let request = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
            // Towards the end smaller and smaller pieces, so that all threads end together.
            let fair = u32::try_from(table.undecided() / FAIR_SHARE).unwrap_or(u32::MAX);
            let max = max.min(fair).max(1);
            let effects = table.apply(now, Event::WorkWanted { worker: WORKER, request, max });
            let mut leases = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Grant { lease, .. } => leases.push(lease),
                    Effect::Retire { .. } | Effect::Drain { .. } => return Acquired::Retire,
                    _ => {}
                }
            }
            if !leases.is_empty() {
                return Acquired::Leases { work: Arc::clone(&self.work), leases };
            }
            let woken = self.changed.wait_timeout(table, WAIT_MAX);
            table = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn decided(&self, attempt: &Attempt, record: &Record, _won: bool) {
        let effects = self.apply(Event::ShardDecided { shard: attempt.lease.shard, by: None });
        if effects.iter().any(|effect| matches!(effect, Effect::JudgeCanary { .. })) {
            // What failed is given up by the session, which finds the same record.
            self.apply(match canary(&**self.work.plan(), Some(record)) {
                Canary::Failed { .. } => Event::DrainRequested,
                _ => Event::CanaryPassed,
            });
        }
    }

    fn failed(&self, attempt: &Attempt, failure: Failure) -> Verdict {
        let Failure { class, reason, message, exit, scope } = failure;
        let event = Event::AttemptFailed { lease: attempt.lease.into(), class, reason, message };
        for effect in self.apply(event) {
            match effect {
                Effect::WriteQuarantine { class, reason, message, attempts, .. } => {
                    let failure = Failure { class, reason, message, exit, scope };
                    return Verdict::Quarantine { failure, attempts };
                }
                Effect::StopRun { reason, message } => {
                    let class = FailureClass::Config;
                    return Verdict::StopRun(Failure { class, reason, message, exit, scope });
                }
                _ => {}
            }
        }
        Verdict::Handled
    }
}

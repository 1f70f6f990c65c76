//! The leases that this worker holds, and how far each has come. No clock, no I/O, no waiting.
//!
//! ```text
//! granted → Loading → Queued → Taken → Scoring → Committing → Ended → told, and forgotten
//!              └─────────┴───────┴────────┴→ Stopped (revoked or given back)
//! ```
//!
//! A lease is here from its grant until the coordinator knows how its attempt ended, so what is
//! here bounds everything else: queues, heartbeats and reports.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_core::ids::{AttemptId, Digest};
use nightshift_core::lease::Lease;
use nightshift_core::record::Record;
use nightshift_proto::leases::acquire::Grant;
use nightshift_proto::leases::heartbeat::{LeaseAnswer, LeaseProgress, LeaseState};
use nightshift_proto::leases::report::Failure as ReportedFailure;
use nightshift_proto::leases::{LeaseId, Phase};
use nightshift_proto::limits::LEASES_MAX;
use nightshift_proto::names::BatchSize;

use super::ahead::{Outlook, Speed, UnderWay};
use super::works::WorkKey;
use crate::source::RunWork;

/// Everything that this worker holds.
#[derive(Debug)]
pub(super) struct Holdings {
    threads: usize,
    held: BTreeMap<LeaseId, Held>,
    /// Leases that a thread can begin with, oldest first.
    queue: VecDeque<LeaseId>,
    /// Leases to give back.
    released: Vec<LeaseId>,
    /// Leases that are being given back.
    going_back: usize,
    speed: Speed,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    ttl: Duration,
    /// Until when the coordinator keeps the lease at least, as far as this worker knows.
    valid_until: Instant,
    said_overdue: bool,
    /// Batch size with which the attempt began.
    batch_rows: usize,
    about: About,
    stage: Stage,
}

/// What log lines about a lease say besides its run and its shard, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// The attempt; none before one has begun.
    pub(super) attempt: Option<AttemptId>,
    /// The model of the run; none before the run is open.
    pub(super) model_digest: Option<Digest>,
}

#[derive(Debug)]
enum Stage {
    /// The run is being opened.
    Loading(WorkKey),
    /// Waits for a thread.
    Queued { work: Arc<RunWork>, since: Instant },
    /// A thread has it, behind another shard.
    Taken(Arc<RunWork>),
    /// Rows go through the model.
    Scoring(Scoring),
    /// The record is being created.
    Committing { rows_done: u64 },
    /// The attempt ended, and the coordinator is to be told.
    Ended { told: Box<Ended>, sending: bool },
    /// No longer this worker's; the thread that has it does not know yet.
    Stopped,
}

#[derive(Debug)]
struct Scoring {
    rows: u64,
    rows_done: u64,
    progress_at: Instant,
    since: Instant,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// The attempt.
    pub(super) attempt: AttemptId,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// The batch size that it came down to.
    pub(super) batch_size: Option<BatchSize>,
    /// Its span, which ends when it has been told.
    pub(super) span: tracing::Span,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The shard has this record.
    Decided {
        /// The run, to look at the record again.
        work: Arc<RunWork>,
        /// The record.
        record: Box<Record>,
        /// Whether this attempt wrote it.
        won: bool,
    },
    /// There is no record.
    Failed(ReportedFailure),
}

impl Holdings {
    /// Nothing yet, for a worker with `threads` compute threads.
    pub(super) fn new(threads: usize) -> Self {
        let (held, queue, released) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        Self { threads, held, queue, released, going_back: 0, speed: Speed::default() }
    }

    /// Takes in a lease that was asked for at `sent`; whether it is new.
    pub(super) fn granted(&mut self, grant: &Grant, sent: Instant) -> bool {
        let LeaseId { shard, token, .. } = grant.lease;
        if self.held.contains_key(&grant.lease) {
            return false;
        }
        let ttl = Duration::from_millis(grant.ttl_ms.into());
        let held = Held {
            lease: Lease { token, shard, earlier_attempts: grant.earlier_attempts },
            ttl,
            valid_until: sent + ttl,
            said_overdue: false,
            batch_rows: 0,
            about: About::default(),
            stage: Stage::Loading(WorkKey::of(grant)),
        };
        self.held.insert(grant.lease.clone(), held);
        true
    }

    /// The run of some leases is open: they can be begun with.
    pub(super) fn opened(&mut self, key: &WorkKey, work: &Arc<RunWork>, now: Instant) {
        for (id, held) in &mut self.held {
            if matches!(&held.stage, Stage::Loading(wanted) if wanted == key) {
                held.about.model_digest = Some(work.plan().model.digest);
                held.stage = Stage::Queued { work: Arc::clone(work), since: now };
                self.queue.push_back(id.clone());
            }
        }
    }

    /// The run of some leases cannot be opened here: their attempts have failed.
    pub(super) fn unopened(
        &mut self,
        key: &WorkKey,
        mut ended: impl FnMut(&Lease) -> Option<Ended>,
    ) {
        let lost = self.held.iter().filter_map(|(id, held)| match &held.stage {
            Stage::Loading(wanted) if wanted == key => Some((id.clone(), held.lease)),
            _ => None,
        });
        for (id, lease) in lost.collect::<Vec<_>>() {
            match ended(&lease) {
                Some(ended) => self.end(&id, ended),
                None => self.give_back(&id),
            }
        }
    }

    /// Leases for one thread: at least one and at most `max` of one run, if any waits.
    pub(super) fn take(&mut self, max: usize) -> Option<(Arc<RunWork>, Vec<Lease>)> {
        // Not more than its share, so that no thread waits while another has several.
        let most = self.queue.len().div_ceil(self.threads.max(1)).min(max).max(1);
        let mut taken: Option<(Arc<RunWork>, Vec<Lease>)> = None;
        while let Some(id) = self.queue.front() {
            let Some(held) = self.held.get_mut(id) else {
                self.queue.pop_front();
                continue;
            };
            let Stage::Queued { work, .. } = &held.stage else {
                self.queue.pop_front();
                continue;
            };
            let work = Arc::clone(work);
            let (of, leases) = taken.get_or_insert_with(|| (Arc::clone(&work), Vec::new()));
            if leases.len() >= most || !Arc::ptr_eq(of, &work) {
                break;
            }
            leases.push(held.lease);
            held.stage = Stage::Taken(work);
            self.queue.pop_front();
        }
        taken
    }

    /// What is to be said about a lease; nothing is known of one that is not held.
    pub(super) fn about(&self, id: &LeaseId) -> About {
        self.held.get(id).map(|held| held.about.clone()).unwrap_or_default()
    }

    /// The attempt that begins under a lease has this name.
    pub(super) fn name(&mut self, id: &LeaseId, attempt: &AttemptId) {
        if let Some(held) = self.held.get_mut(id) {
            held.about.attempt = Some(attempt.clone());
        }
    }

    /// An attempt begins, with batches of `batch_rows`; whether the lease is still there.
    pub(super) fn begun(&mut self, id: &LeaseId, batch_rows: usize, now: Instant) -> bool {
        let Some(held) = self.held.get_mut(id) else { return false };
        let Stage::Taken(work) = &held.stage else { return false };
        let rows = work.plan().shard(held.lease.shard).map_or(0, |shard| shard.rows());
        held.batch_rows = batch_rows;
        held.stage = Stage::Scoring(Scoring { rows, rows_done: 0, progress_at: now, since: now });
        true
    }

    /// `rows` more rows went through; whether the attempt may go on.
    pub(super) fn scored(&mut self, id: &LeaseId, rows: u64, now: Instant) -> bool {
        match self.held.get_mut(id).map(|held| &mut held.stage) {
            Some(Stage::Scoring(scoring)) => {
                scoring.rows_done += rows;
                // No rows are no progress, only a question whether to go on.
                if rows > 0 {
                    scoring.progress_at = now;
                }
                true
            }
            _ => false,
        }
    }

    /// The attempt is about to commit; whether it may. If so, nothing stops it any more.
    pub(super) fn may_commit(&mut self, id: &LeaseId, now: Instant) -> bool {
        let Some(held) = self.held.get_mut(id) else { return false };
        let Stage::Scoring(scoring) = &held.stage else { return false };
        let &Scoring { rows, rows_done, since, .. } = scoring;
        self.speed.add(rows, now.saturating_duration_since(since));
        held.stage = Stage::Committing { rows_done };
        true
    }

    /// The batch size that an attempt came down to, if it began with a larger one.
    pub(super) fn learned(&self, id: &LeaseId, batch_rows: usize) -> Option<BatchSize> {
        let began = self.held.get(id)?.batch_rows;
        if batch_rows >= began {
            return None;
        }
        BatchSize::new(u32::try_from(batch_rows).ok()?).ok()
    }

    /// The attempt ended and the coordinator is to be told, unless it has said that it does not
    /// care.
    pub(super) fn end(&mut self, id: &LeaseId, ended: Ended) {
        let Some(held) = self.held.get_mut(id) else { return };
        if matches!(held.stage, Stage::Stopped) && !matches!(ended.outcome, Outcome::Decided { .. })
        {
            self.held.remove(id);
            return;
        }
        held.stage = Stage::Ended { told: Box::new(ended), sending: false };
    }

    /// The attempt was given up because it was told to stop. A lease that is still held goes back.
    pub(super) fn given_up(&mut self, id: &LeaseId) {
        match self.held.get(id).map(|held| &held.stage) {
            Some(Stage::Stopped) => {
                self.held.remove(id);
            }
            Some(_) => self.give_back(id),
            None => {}
        }
    }

    /// Gives everything back that is not committing.
    pub(super) fn let_go(&mut self) {
        let ids: Vec<LeaseId> = self.held.keys().cloned().collect();
        for id in ids {
            match self.held.get_mut(&id) {
                Some(held) if matches!(held.stage, Stage::Taken(_) | Stage::Scoring(_)) => {
                    held.stage = Stage::Stopped;
                    self.released.push(id);
                }
                Some(held) if matches!(held.stage, Stage::Loading(_) | Stage::Queued { .. }) => {
                    self.give_back(&id);
                }
                _ => {}
            }
        }
    }

    /// Gives leases back that have waited for a thread for longer than `longest`: the shards
    /// before them are slower than was expected, and another worker may be free.
    pub(super) fn give_back_waiting(&mut self, longest: Duration, now: Instant) -> usize {
        let waits = |id: &&LeaseId| match self.held.get(*id).map(|held| &held.stage) {
            Some(Stage::Queued { since, .. }) => now.saturating_duration_since(*since) > longest,
            _ => false,
        };
        let ids: Vec<LeaseId> = self.queue.iter().filter(waits).cloned().collect();
        for id in &ids {
            self.give_back(id);
        }
        ids.len()
    }

    fn give_back(&mut self, id: &LeaseId) {
        if self.held.remove(id).is_some() {
            self.queue.retain(|queued| queued != id);
            self.released.push(id.clone());
        }
    }

    /// Leases to give back now, at most as many as one call takes. Whoever takes them says when
    /// they are [given back](Self::given_back).
    pub(super) fn take_released(&mut self) -> Vec<LeaseId> {
        let some = self.released.len().min(LEASES_MAX);
        self.going_back += some;
        self.released.drain(..some).collect()
    }

    /// The coordinator took leases back.
    pub(super) fn given_back(&mut self, leases: usize) {
        self.going_back = self.going_back.saturating_sub(leases);
    }

    /// What a heartbeat says.
    pub(super) fn progress(&self) -> Vec<LeaseProgress> {
        let progress = |(id, held): (&LeaseId, &Held)| {
            let (phase, rows_done) = match &held.stage {
                Stage::Loading(_) | Stage::Queued { .. } | Stage::Taken(_) => (Phase::Waiting, 0),
                Stage::Scoring(scoring) => (Phase::Scoring, scoring.rows_done),
                Stage::Committing { rows_done } => (Phase::Committing, *rows_done),
                Stage::Ended { .. } => (Phase::Committing, 0),
                Stage::Stopped => return None,
            };
            Some(LeaseProgress { lease: id.clone(), phase, rows_done })
        };
        self.held.iter().filter_map(progress).take(LEASES_MAX).collect()
    }

    /// Takes in the answer to a heartbeat of `sent`; returns the lease if it was revoked and its
    /// attempt has to stop.
    pub(super) fn answered(&mut self, answer: LeaseAnswer, sent: Instant) -> Option<LeaseId> {
        let LeaseAnswer { lease: id, state } = answer;
        let held = self.held.get_mut(&id)?;
        match state {
            LeaseState::Ok => {
                held.valid_until = sent + held.ttl;
                held.said_overdue = false;
                None
            }
            // The coordinator is new; it may adopt the lease later, and the record decides anyway.
            LeaseState::Unknown => None,
            LeaseState::Revoked => match held.stage {
                Stage::Loading(_) | Stage::Queued { .. } => {
                    self.held.remove(&id);
                    self.queue.retain(|queued| *queued != id);
                    Some(id)
                }
                Stage::Taken(_) | Stage::Scoring(_) => {
                    held.stage = Stage::Stopped;
                    Some(id)
                }
                Stage::Committing { .. } | Stage::Ended { .. } | Stage::Stopped => None,
            },
        }
    }

    /// Leases that the coordinator may have taken for dead by now; each is named once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<LeaseId> {
        let overdue = self.held.iter_mut().filter(|(_, held)| {
            !held.said_overdue && held.valid_until < now && !matches!(held.stage, Stage::Stopped)
        });
        let named = overdue.map(|(id, held)| {
            held.said_overdue = true;
            id.clone()
        });
        named.collect()
    }

    /// The next attempt whose end is to be told, and that nobody is telling.
    pub(super) fn next_to_tell(&mut self) -> Option<(LeaseId, Ended)> {
        self.held.iter_mut().find_map(|(id, held)| match &mut held.stage {
            Stage::Ended { told, sending } if !*sending => {
                *sending = true;
                Some((id.clone(), (**told).clone()))
            }
            _ => None,
        })
    }

    /// The coordinator knows how the attempt under this lease ended.
    pub(super) fn told(&mut self, id: &LeaseId) {
        self.held.remove(id);
    }

    /// Whether nothing is held, and nothing is left to be told or given back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.released.is_empty() && self.going_back == 0
    }

    /// Whether a thread may get something to do without another grant.
    pub(super) fn may_be_taken(&self) -> bool {
        let waits = |held: &Held| matches!(held.stage, Stage::Loading(_) | Stage::Queued { .. });
        self.held.values().any(waits)
    }

    /// How many more leases fit into a heartbeat.
    pub(super) fn room(&self) -> usize {
        LEASES_MAX.saturating_sub(self.held.len())
    }

    /// What is needed to say how many leases to ask for.
    pub(super) fn outlook(&self, horizon: Duration, now: Instant) -> Outlook {
        let mut outlook = Outlook {
            threads: self.threads,
            rate: self.speed.rate(),
            typical_rows: self.speed.typical_rows(),
            horizon,
            ..Outlook::default()
        };
        for held in self.held.values() {
            match &held.stage {
                Stage::Loading(_) => outlook.waiting.push(None),
                Stage::Queued { work, .. } | Stage::Taken(work) => {
                    let shard = work.plan().shard(held.lease.shard);
                    outlook.waiting.push(shard.map(|shard| shard.rows()));
                }
                Stage::Scoring(scoring) => outlook.under_way.push(UnderWay {
                    rows: scoring.rows,
                    rows_done: scoring.rows_done,
                    progress_after: scoring.progress_at.saturating_duration_since(scoring.since),
                    elapsed: now.saturating_duration_since(scoring.since),
                }),
                _ => {}
            }
        }
        outlook
    }
}

#[cfg(test)]
mod tests;

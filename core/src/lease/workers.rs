//! What the table remembers of each worker.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{Advice, LEASES_PER_WORKER_MAX, Moment, RequestId, Token, WORKERS_MAX, WorkerId};

/// The workers that hold leases, or did lately.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Workers {
    by_id: BTreeMap<WorkerId, Worker>,
    by_seen: BTreeSet<(Moment, WorkerId)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Worker {
    leases: BTreeSet<Token>,
    /// The newest Acquire that was granted something, and what.
    request: Option<(RequestId, Vec<Token>)>,
    advice: Advice,
    batch_rows: Option<NonZeroU32>,
    seen: Moment,
}

/// What an Acquire is, by its request id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    New,
    /// The leases that the first answer granted and that are still out.
    Again(Vec<Token>),
    /// Another has been answered since.
    Old,
}

impl Workers {
    pub(super) fn advice(&self, worker: WorkerId) -> Advice {
        self.by_id.get(&worker).map_or(Advice::Continue, |known| known.advice)
    }

    /// How many hold a lease.
    pub(super) fn holding(&self) -> usize {
        self.by_id.values().filter(|known| !known.leases.is_empty()).count()
    }

    /// Who holds leases, and which.
    pub(super) fn held(
        &self,
    ) -> impl Iterator<Item = (WorkerId, impl Iterator<Item = Token> + '_)> + '_ {
        let holding = self.by_id.iter().filter(|(_, known)| !known.leases.is_empty());
        holding.map(|(worker, known)| (*worker, known.leases.iter().copied()))
    }

    pub(super) fn batch_rows(&self, worker: WorkerId) -> Option<NonZeroU32> {
        self.by_id.get(&worker)?.batch_rows
    }

    /// How many more leases the worker may get; none for a worker beyond the limit of workers.
    pub(super) fn room(&self, worker: WorkerId) -> usize {
        match self.by_id.get(&worker) {
            Some(known) => LEASES_PER_WORKER_MAX.saturating_sub(known.leases.len()),
            None if self.by_id.len() < WORKERS_MAX => LEASES_PER_WORKER_MAX,
            None => 0,
        }
    }

    pub(super) fn call(&self, worker: WorkerId, request: RequestId) -> Call {
        let Some(known) = self.by_id.get(&worker) else { return Call::New };
        match &known.request {
            Some((last, granted)) if *last == request => {
                Call::Again(granted.iter().copied().filter(|t| known.leases.contains(t)).collect())
            }
            Some((last, _)) if *last > request => Call::Old,
            _ => Call::New,
        }
    }

    /// Notes a lease that was granted or adopted; the worker becomes known by it.
    pub(super) fn hold(&mut self, now: Moment, worker: WorkerId, token: Token) {
        self.enter(now, worker).leases.insert(token);
    }

    pub(super) fn answered(&mut self, worker: WorkerId, request: RequestId, granted: Vec<Token>) {
        if let Some(known) = self.by_id.get_mut(&worker) {
            known.request = Some((request, granted));
        }
    }

    pub(super) fn let_go(&mut self, worker: WorkerId, token: Token) {
        if let Some(known) = self.by_id.get_mut(&worker) {
            known.leases.remove(&token);
        }
    }

    pub(super) fn advise(&mut self, now: Moment, worker: WorkerId, advice: Advice) {
        if self.room(worker) > 0 || self.by_id.contains_key(&worker) {
            self.enter(now, worker).advice = advice;
        }
    }

    pub(super) fn learned(&mut self, worker: WorkerId, rows: NonZeroU32) {
        if let Some(known) = self.by_id.get_mut(&worker) {
            known.batch_rows = Some(rows);
        }
    }

    /// Notes that a known worker is alive.
    pub(super) fn seen(&mut self, now: Moment, worker: WorkerId) {
        if self.by_id.contains_key(&worker) {
            self.enter(now, worker);
        }
    }

    /// Forgets a worker and returns its leases.
    pub(super) fn remove(&mut self, worker: WorkerId) -> BTreeSet<Token> {
        let Some(known) = self.by_id.remove(&worker) else { return BTreeSet::new() };
        self.by_seen.remove(&(known.seen, worker));
        known.leases
    }

    /// Forgets the workers that hold nothing and were not heard of since `since`.
    pub(super) fn forget_silent(&mut self, since: Moment) {
        while let Some(&(seen, worker)) = self.by_seen.first()
            && seen < since
        {
            self.by_seen.pop_first();
            let holds = self.by_id.get(&worker).is_some_and(|known| !known.leases.is_empty());
            if holds {
                // Its leases have deadlines of their own; it is looked at again after those.
                self.enter(since, worker);
            } else {
                self.by_id.remove(&worker);
            }
        }
    }

    fn enter(&mut self, now: Moment, worker: WorkerId) -> &mut Worker {
        let known = self.by_id.entry(worker).or_default();
        self.by_seen.remove(&(known.seen, worker));
        known.seen = now;
        self.by_seen.insert((now, worker));
        known
    }
}

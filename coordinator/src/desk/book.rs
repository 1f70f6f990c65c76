//! Who is behind a worker's name, and what its last request for work was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nightshift_core::ids::RunId;
use nightshift_core::lease::{Moment, WorkerId};
use nightshift_proto::names::{RequestId, WorkerName};

/// Most workers that are known at a time; one more waits. As many as the tables remember.
pub const WORKERS_MAX: usize = nightshift_core::lease::WORKERS_MAX;
/// After this long without a word a worker is forgotten: longer than any lease lives, so the
/// tables have forgotten it before.
const SILENT_MS: u64 = 20 * 60_000;

/// The workers that were heard of lately.
#[derive(Debug, Default)]
pub struct Book {
    by_name: HashMap<WorkerName, WorkerId>,
    workers: BTreeMap<WorkerId, Worker>,
    by_seen: BTreeSet<(Moment, WorkerId)>,
    next: u64,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) name: WorkerName,
    /// Its last request that was granted something.
    pub(super) last: Option<Granting>,
    /// Number of its next request.
    pub(super) next_request: u64,
    /// The run of its last lease.
    pub(super) run: Option<RunId>,
    /// When it was last heard of.
    pub(super) seen: Moment,
}

/// A request that was granted something.
#[derive(Debug, Clone)]
pub(super) struct Granting {
    pub(super) request: RequestId,
    pub(super) number: u64,
    pub(super) runs: Vec<RunId>,
}

impl Book {
    /// Workers that are known.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// The worker behind a name, which is heard of at `now`; none if the book is full.
    pub(super) fn enter(&mut self, now: Moment, name: &WorkerName) -> Option<WorkerId> {
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None if self.workers.len() >= WORKERS_MAX => return None,
            None => {
                let id = WorkerId(self.next);
                self.next += 1;
                self.by_name.insert(name.clone(), id);
                let worker = Worker {
                    name: name.clone(),
                    last: None,
                    next_request: 0,
                    run: None,
                    seen: now,
                };
                self.workers.insert(id, worker);
                id
            }
        };
        if let Some(worker) = self.workers.get_mut(&id) {
            self.by_seen.remove(&(worker.seen, id));
            worker.seen = now;
            self.by_seen.insert((now, id));
        }
        Some(id)
    }

    /// The worker behind a name, if it is known.
    pub(super) fn find(&self, name: &WorkerName) -> Option<WorkerId> {
        self.by_name.get(name).copied()
    }

    /// The workers whose process is `host`: a worker's name is its host, `:`, and the rest.
    pub(super) fn on(&self, host: &str) -> Vec<WorkerId> {
        let there = |worker: &&Worker| host_of(&worker.name) == host;
        let known = self.workers.iter().filter(|(_, worker)| there(worker));
        known.map(|(id, _)| *id).collect()
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.get_mut(&id)
    }

    /// A worker has left for good.
    pub(super) fn remove(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.remove(&id) {
            self.by_name.remove(&worker.name);
            self.by_seen.remove(&(worker.seen, id));
        }
    }

    pub(super) fn forget_silent(&mut self, now: Moment) {
        while let Some(&(seen, id)) = self.by_seen.first()
            && now.since_ms(seen) >= SILENT_MS
        {
            self.remove(id);
        }
    }
}

/// The host, or pod, in a worker's name.
pub(super) fn host_of(name: &WorkerName) -> &str {
    name.as_str().split_once(':').map_or(name.as_str(), |(host, _)| host)
}

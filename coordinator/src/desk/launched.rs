//! What a launcher tells about the workers that it has started, and wants to know.

use std::num::NonZeroU32;

use nightshift_core::ids::RunId;
use nightshift_core::lease::{BATCH_ROWS, Event, Moment, Token, smaller_batch};
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::report::Failure;

use super::active::ActiveRun;
use super::{Desk, Task};
use crate::desk::book::host_of;
use crate::launch::OOM_KILLED;

impl Desk {
    /// The process `host`, a pod or a child, has ended or is gone: its leases are free at once.
    /// Says how many it held, and what is to be done.
    pub fn worker_vanished(
        &mut self,
        now: Moment,
        host: &str,
        class: FailureClass,
        reason: &str,
        message: &str,
    ) -> (u64, Vec<Task>) {
        let mut tasks = Vec::new();
        let mut ended = 0;
        for worker in self.book.on(host) {
            for active in self.runs.values_mut() {
                let held: Vec<Token> = active
                    .table
                    .held()
                    .filter(|(by, _)| *by == worker)
                    .flat_map(|(_, t)| t)
                    .collect();
                if held.is_empty() {
                    continue;
                }
                // Whoever tries these shards next shall need less memory.
                if reason == OOM_KILLED {
                    let rows = smaller_batch(active.batch_of(&held).unwrap_or(BATCH_ROWS));
                    active.table.apply(now, Event::BatchLearned { worker, rows });
                }
                for lease in held.iter().filter_map(|token| active.table.holder(*token)) {
                    active.trace_lost(now, lease, reason);
                }
                for token in &held {
                    let shard = active.table.holder(*token).map(|held| held.shard);
                    if let (Some(shard), Ok(reason)) = (shard, reason.parse()) {
                        let message = message.to_owned();
                        active.remember_failure(shard, Failure { class, reason, message });
                    }
                    active.progress.remove(token);
                }
                ended += held.len() as u64;
                let (reason, message) = (reason.to_owned(), message.to_owned());
                let event = Event::WorkerLost { worker, class, reason, message };
                let effects = active.table.apply(now, event);
                active.perform(effects, &mut tasks);
            }
            self.book.remove(worker);
        }
        self.counters.failed += ended;
        self.counters.vanished += u64::from(ended > 0);
        (ended, tasks)
    }

    /// Rows of the batches with which the process `host` works on a run: of the leases that it
    /// holds, or else what was learned in the run; none where nothing was learned.
    pub fn batch_of(&self, run: &RunId, host: &str) -> Option<NonZeroU32> {
        let active = self.runs.get(run)?;
        let theirs = self.book.on(host);
        let held = active.table.held().filter(|(worker, _)| theirs.contains(worker));
        let held: Vec<Token> = held.flat_map(|(_, tokens)| tokens).collect();
        if held.is_empty() { active.table.batch_rows() } else { active.batch_of(&held) }
    }

    /// The processes that hold leases of a run: pods, children, hosts.
    pub fn busy_hosts(&self, run: &RunId) -> Vec<String> {
        let Some(active) = self.runs.get(run) else { return Vec::new() };
        let holding = active.table.held().filter_map(|(worker, _)| self.book.get(worker));
        holding.map(|worker| host_of(&worker.name).to_owned()).collect()
    }
}

impl ActiveRun {
    /// Rows of the smallest batch with which one of these leases was granted.
    fn batch_of(&self, leases: &[Token]) -> Option<NonZeroU32> {
        let granted = leases.iter().filter_map(|token| self.progress.get(token)?.batch);
        granted.min()
    }
}

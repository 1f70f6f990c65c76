//! What a launcher tells about the workers that it has started, and wants to know.

use nightshift_core::ids::RunId;
use nightshift_core::lease::{Event, Moment, Token};
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::report::Failure;

use super::{Desk, Task};
use crate::desk::book::host_of;

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

    /// The processes that hold leases of a run: pods, children, hosts.
    pub fn busy_hosts(&self, run: &RunId) -> Vec<String> {
        let Some(active) = self.runs.get(run) else { return Vec::new() };
        let holding = active.table.held().filter_map(|(worker, _)| self.book.get(worker));
        holding.map(|worker| host_of(&worker.name).to_owned()).collect()
    }
}

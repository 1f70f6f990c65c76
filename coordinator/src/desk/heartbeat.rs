//! Answering a sign of life, and taking leases back.

use std::collections::BTreeMap;

use nightshift_core::ids::RunId;
use nightshift_core::lease::{Effect, Event, Holding, LeaseState as Held, Moment, Token};
use nightshift_proto::leases::Directive;
use nightshift_proto::leases::heartbeat::{Heartbeat, HeartbeatAnswered, LeaseAnswer, LeaseState};
use nightshift_proto::leases::release::Release;

use super::active::Progress;
use super::{Desk, Task};

impl Desk {
    /// Renews the leases that a worker names, and answers each in its order.
    pub fn heartbeat(&mut self, now: Moment, heartbeat: Heartbeat) -> HeartbeatAnswered {
        // Only a worker of one run is ever told to retire, in the answer to its Acquire.
        let directive = Directive::Continue;
        let Some(worker) = self.book.enter(now, &heartbeat.worker) else {
            // Not known and no room: what it holds was granted by somebody else.
            let unknown = |lease| LeaseAnswer { lease, state: LeaseState::Unknown };
            let answers = heartbeat.leases.into_iter().map(|one| unknown(one.lease)).collect();
            return HeartbeatAnswered { answers, directive };
        };
        let mut by_run: BTreeMap<&RunId, Vec<Holding>> = BTreeMap::new();
        for progress in &heartbeat.leases {
            let holding = Holding { token: progress.lease.token, shard: progress.lease.shard };
            by_run.entry(&progress.lease.run).or_default().push(holding);
        }
        let mut states: BTreeMap<(&RunId, Token), Held> = BTreeMap::new();
        for (run, leases) in by_run {
            let Some(active) = self.runs.get_mut(run) else { continue };
            let before = active.table.leased();
            for effect in active.table.apply(now, Event::HeartbeatArrived { worker, leases }) {
                if let Effect::AnswerHeartbeat { leases, .. } = effect {
                    states.extend(leases.into_iter().map(|one| ((run, one.token), one.state)));
                }
            }
            self.counters.adopted += active.table.leased().saturating_sub(before) as u64;
        }
        let mut answers = Vec::with_capacity(heartbeat.leases.len());
        for one in &heartbeat.leases {
            let lease = &one.lease;
            let state = match states.get(&(&lease.run, lease.token)) {
                Some(Held::Ok) => LeaseState::Ok,
                Some(Held::Revoked) => LeaseState::Revoked,
                Some(Held::Unknown) => LeaseState::Unknown,
                None if self.is_concluded(&lease.run) => LeaseState::Revoked,
                None => LeaseState::Unknown,
            };
            if state == LeaseState::Ok
                && let Some(active) = self.runs.get_mut(&lease.run)
            {
                let batch = active.progress.get(&lease.token).and_then(|before| before.batch);
                let progress = Progress { phase: one.phase, rows_done: one.rows_done, batch };
                active.progress.insert(lease.token, progress);
            }
            answers.push(LeaseAnswer { lease: lease.clone(), state });
        }
        HeartbeatAnswered { answers, directive }
    }

    /// Takes back the leases of `release` that its worker holds; how many there were.
    pub fn release(&mut self, now: Moment, release: &Release) -> (u32, Vec<Task>) {
        let mut tasks = Vec::new();
        let Some(worker) = self.book.find(&release.worker) else { return (0, tasks) };
        let mut released = 0;
        for lease in &release.leases {
            let Some(active) = self.runs.get_mut(&lease.run) else { continue };
            let held = active.table.holder(lease.token);
            if held.is_none_or(|held| held.worker != worker || held.shard != lease.shard) {
                continue;
            }
            active.progress.remove(&lease.token);
            let effects = active.table.apply(now, Event::LeaseReleased { token: lease.token });
            active.perform(effects, &mut tasks);
            released += 1;
        }
        self.counters.released += u64::from(released);
        if release.leaving && !self.holds_anything(worker) {
            self.book.remove(worker);
        }
        (released, tasks)
    }

    fn holds_anything(&self, worker: nightshift_core::lease::WorkerId) -> bool {
        self.runs.values().any(|run| {
            let mut tokens = run.progress.keys();
            tokens.any(|token| run.table.holder(*token).is_some_and(|held| held.worker == worker))
        })
    }
}

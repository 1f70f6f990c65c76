//! Answering a heartbeat: renewing leases, and adopting those of an older epoch.

use super::held::Held;
use super::{Answered, Effect, Holding, LeaseState, LeaseTable, Moment, WorkerId};

impl LeaseTable {
    pub(super) fn heartbeat(
        &mut self,
        now: Moment,
        worker: WorkerId,
        leases: &[Holding],
    ) -> Effect {
        self.workers.seen(now, worker);
        let answer = |&lease: &Holding| Answered {
            token: lease.token,
            state: self.renew(now, worker, lease),
        };
        let leases = leases.iter().map(answer).collect();
        Effect::AnswerHeartbeat { worker, leases, advice: self.advice(worker) }
    }

    fn renew(&mut self, now: Moment, worker: WorkerId, lease: Holding) -> LeaseState {
        let Holding { token, shard } = lease;
        let deadline = now.after_ms(self.settings.ttl_ms);
        if let Some(held) = self.leases.get(token) {
            if held.worker != worker || held.shard != shard {
                return LeaseState::Revoked;
            }
            self.leases.renew(token, deadline);
            return LeaseState::Ok;
        }
        if !self.shards.exists(shard) {
            return LeaseState::Unknown;
        }
        if token.epoch == self.epoch && token.sequence < self.next_sequence {
            return LeaseState::Revoked;
        }
        if token.epoch >= self.epoch {
            // Of a newer owner: this one has been replaced and knows nothing about it.
            return LeaseState::Unknown;
        }
        if !self.is_free(lease) || self.workers.room(worker) == 0 {
            return LeaseState::Revoked;
        }
        self.shards.take(shard);
        let held = Held { worker, shard, granted_at: now, deadline, adopted: true };
        self.leases.insert(token, held);
        self.workers.hold(now, worker, token);
        LeaseState::Ok
    }

    /// Whether nobody else works on the shard of a lease, and somebody may.
    pub(super) fn is_free(&self, lease: Holding) -> bool {
        self.shards.is_open(lease.shard) && self.leases.of_shard(lease.shard).next().is_none()
    }
}

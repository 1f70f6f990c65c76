//! Answering a worker that asks for work.

use super::held::Held;
use super::workers::Call;
use super::{Advice, Effect, GRANTS_MAX, Lease, LeaseTable, Moment, RequestId, Token, WorkerId};
use crate::ids::ShardIndex;

/// When a slow shard gets a second lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackupRules {
    /// How many medians old the only lease of a shard must be.
    pub medians: u64,
    /// Decided attempts that the median must rest on.
    pub decided_min: usize,
    /// Age under which no shard is slow, however quick the others were.
    pub age_min_ms: u64,
}

impl BackupRules {
    /// Twice the median as in the design, of at least 3 attempts, and not under a second.
    pub const DEFAULT: Self = Self { medians: 2, decided_min: 3, age_min_ms: 1_000 };
}

impl LeaseTable {
    pub(super) fn work_wanted(
        &mut self,
        now: Moment,
        worker: WorkerId,
        request: RequestId,
        max: u32,
        effects: &mut Vec<Effect>,
    ) {
        self.workers.seen(now, worker);
        match self.workers.call(worker, request) {
            Call::Again(tokens) if !tokens.is_empty() => {
                effects.extend(tokens.into_iter().filter_map(|token| self.same(worker, token)));
                return;
            }
            Call::Old => {
                effects.push(Effect::Wait { worker, until: None });
                return;
            }
            Call::New | Call::Again(_) => {}
        }
        match self.advice(worker) {
            Advice::Retire => return effects.push(Effect::Retire { worker }),
            Advice::Drain => return effects.push(Effect::Drain { worker }),
            Advice::Continue => {}
        }
        effects.extend(self.breaker.as_mut().and_then(|breaker| breaker.time_passed(now)));
        if let Some(until) = self.stopped_until(now) {
            effects.push(Effect::Wait { worker, until: Some(until) });
            return;
        }
        let granted = self.grant(now, worker, max, effects);
        if granted.is_empty() {
            effects.push(Effect::Wait { worker, until: self.next_chance(worker) });
        } else {
            self.workers.answered(worker, request, granted);
        }
    }

    /// When grants go on, if they are held back at `now`.
    fn stopped_until(&self, now: Moment) -> Option<Moment> {
        let adopting = self.adopting_until(now).filter(|_| self.ready() <= self.adopting_spare);
        adopting.max(self.breaker.as_ref().and_then(|breaker| breaker.open_until()))
    }

    fn grant(
        &mut self,
        now: Moment,
        worker: WorkerId,
        max: u32,
        effects: &mut Vec<Effect>,
    ) -> Vec<Token> {
        self.shards.wake(now);
        let kept = self.adopting_until(now).map_or(0, |_| self.adopting_spare);
        let free = usize::try_from(self.ready().saturating_sub(kept)).unwrap_or(usize::MAX);
        let room = self.workers.room(worker);
        let most = (max.min(GRANTS_MAX) as usize).min(room);
        let mut tokens = Vec::new();
        while tokens.len() < most.min(free) {
            let next = match self.canary {
                Some(canary) => self.shards.take_ready(canary),
                None => self.shards.take_next(),
            };
            let Some(shard) = next else { break };
            tokens.push(self.grant_one(now, worker, shard, false, effects));
        }
        if tokens.is_empty()
            && most > 0
            && let Some((due, shard)) = self.next_backup(worker)
            && due <= now
        {
            tokens.push(self.grant_one(now, worker, shard, true, effects));
        }
        tokens
    }

    fn grant_one(
        &mut self,
        now: Moment,
        worker: WorkerId,
        shard: ShardIndex,
        backup: bool,
        effects: &mut Vec<Effect>,
    ) -> Token {
        let token = Token { epoch: self.epoch, sequence: self.next_sequence };
        self.next_sequence += 1;
        let deadline = now.after_ms(self.settings.ttl_ms);
        self.leases
            .insert(token, Held { worker, shard, granted_at: now, deadline, adopted: false });
        self.workers.hold(now, worker, token);
        effects.push(self.granted(worker, token, shard, backup));
        token
    }

    fn granted(&self, worker: WorkerId, token: Token, shard: ShardIndex, backup: bool) -> Effect {
        let earlier_attempts = self.shards.attempts(shard);
        let batch_rows = self.workers.batch_rows(worker).or(self.batch_rows);
        Effect::Grant {
            worker,
            lease: Lease { token, shard, earlier_attempts },
            backup,
            batch_rows,
        }
    }

    /// A grant whose first answer may have been lost.
    fn same(&self, worker: WorkerId, token: Token) -> Option<Effect> {
        let held = self.leases.get(token)?;
        let backup = self.leases.of_shard(held.shard).any(|other| other < token);
        Some(self.granted(worker, token, held.shard, backup))
    }

    /// The next shard that this worker may back up, and from when on.
    fn next_backup(&self, worker: WorkerId) -> Option<(Moment, ShardIndex)> {
        let rules = self.settings.backup?;
        if self.durations.len() < rules.decided_min {
            return None;
        }
        let slow_ms = self.durations.get_ms()?.saturating_mul(rules.medians).max(rules.age_min_ms);
        let held = self.leases.oldest_alone(worker)?;
        Some((held.granted_at.after_ms(slow_ms), held.shard))
    }

    /// When a shard may become free or slow; a decision or a failure may come before.
    fn next_chance(&self, worker: WorkerId) -> Option<Moment> {
        let backup = self.next_backup(worker).map(|(due, _)| due);
        let chances = [self.shards.first_wake(), self.leases.first_deadline(), backup];
        chances.into_iter().flatten().min()
    }
}

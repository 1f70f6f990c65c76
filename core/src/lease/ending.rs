//! How leases end: decided, failed, given back, or silent for too long.

use super::held::Held;
use super::retry::Next;
use super::{Effect, Holding, LeaseTable, Moment, Token};
use crate::ids::ShardIndex;
use crate::record::FailureClass;

/// TTLs without a word after which a worker without leases is forgotten, with what it was told:
/// long enough for a process that was stopped and goes on, and a bound on what is remembered.
const SILENT_TTLS: u64 = 20;

impl LeaseTable {
    /// Takes a lease out of the table.
    pub(super) fn end(&mut self, token: Token) -> Option<Held> {
        let held = self.leases.remove(token)?;
        self.workers.let_go(held.worker, token);
        Some(held)
    }

    /// Ends the lease that a report names; whether the report counts. It also does for a lease
    /// of an older epoch that no heartbeat has named yet, if that could have been adopted.
    pub(super) fn end_reported(&mut self, lease: Holding) -> bool {
        match self.leases.get(lease.token) {
            Some(held) if held.shard == lease.shard => self.end(lease.token).is_some(),
            Some(_) => false,
            None => lease.token.epoch < self.epoch && self.is_free(lease),
        }
    }

    pub(super) fn decided(
        &mut self,
        now: Moment,
        shard: ShardIndex,
        by: Option<Token>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.shards.decide(shard) {
            return;
        }
        let winner = by.and_then(|token| self.leases.get(token)).copied();
        if let Some(held) = winner.filter(|held| held.shard == shard) {
            if !held.adopted {
                self.durations.add_ms(now.since_ms(held.granted_at));
            }
            effects.extend(self.breaker.as_mut().and_then(|breaker| breaker.succeeded(now)));
        }
        self.end_all(shard);
        if self.undecided() == 0 {
            effects.push(Effect::AllDecided);
        } else if self.canary == Some(shard) {
            effects.push(Effect::JudgeCanary { shard });
        }
    }

    /// Takes in a failed attempt whose lease has ended already.
    pub(super) fn failed(
        &mut self,
        now: Moment,
        shard: ShardIndex,
        class: FailureClass,
        reason: String,
        message: String,
        effects: &mut Vec<Effect>,
    ) {
        if !self.shards.is_open(shard) {
            return;
        }
        if class == FailureClass::Config {
            if !std::mem::replace(&mut self.stopped, true) {
                effects.push(Effect::StopRun { reason, message });
            }
            if self.leases.of_shard(shard).next().is_none() {
                self.shards.enqueue(shard);
            }
            return;
        }
        let opened = self.breaker.as_mut().and_then(|b| b.failed(now, class, &reason));
        effects.extend(opened);
        let Some(standing) = self.shards.standing_mut(shard) else { return };
        let next = standing.after(class, &self.settings.retry);
        let goes_on = self.leases.of_shard(shard).next().is_some();
        match next {
            Next::GiveUp => self.give_up(shard, class, reason, message, effects),
            // The other attempt of the shard may still succeed.
            _ if goes_on => {}
            Next::AtOnce => self.shards.enqueue(shard),
            Next::After { ms } => self.shards.pause(shard, now.after_ms(ms)),
            Next::NoMore { class } => self.give_up(shard, class, reason, message, effects),
        }
    }

    fn give_up(
        &mut self,
        shard: ShardIndex,
        class: FailureClass,
        reason: String,
        message: String,
        effects: &mut Vec<Effect>,
    ) {
        self.shards.give_up(shard);
        self.end_all(shard);
        // A standing counts what may be tried again; the attempt that ends it all is one more.
        let budgeted = matches!(class, FailureClass::Lost | FailureClass::Transient);
        let attempts = self.shards.attempts(shard).saturating_add(u32::from(!budgeted));
        effects.push(Effect::WriteQuarantine { shard, class, reason, message, attempts });
    }

    fn end_all(&mut self, shard: ShardIndex) {
        let tokens: Vec<Token> = self.leases.of_shard(shard).collect();
        for token in tokens {
            self.end(token);
        }
    }

    pub(super) fn time_passed(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        while let Some(token) = self.leases.first_expired(now) {
            let Some(held) = self.end(token) else { break };
            let reason = "lease_expired".to_owned();
            let message = "the worker stopped without a word".to_owned();
            self.failed(now, held.shard, FailureClass::Lost, reason, message, effects);
        }
        self.shards.wake(now);
        effects.extend(self.breaker.as_mut().and_then(|breaker| breaker.time_passed(now)));
        let silent_ms = self.settings.ttl_ms.saturating_mul(SILENT_TTLS);
        self.workers.forget_silent(Moment(now.0.saturating_sub(silent_ms)));
    }
}

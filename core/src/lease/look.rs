//! Questions about a table, for people, metrics and whoever shares work between tables.

use std::num::NonZeroU32;

use super::{LeaseTable, Moment, Token, WorkerId};
use crate::ids::ShardIndex;

/// A lease that is out, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The lease.
    pub token: Token,
    /// Who holds it.
    pub worker: WorkerId,
    /// Its shard.
    pub shard: ShardIndex,
    /// When it was granted, or adopted.
    pub granted_at: Moment,
}

/// Where a shard stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShardPlace {
    /// Undecided and free.
    Ready,
    /// Undecided, waiting out a pause after a failure.
    Delayed,
    /// Undecided, leased or about to be given up.
    Out,
    /// It has a record.
    Decided,
}

impl LeaseTable {
    /// Shards that wait out a pause after a failure.
    pub fn delayed(&self) -> u64 {
        self.shards.delayed()
    }

    /// Undecided shards that are leased or about to be given up.
    pub fn out(&self) -> u64 {
        self.undecided().saturating_sub(self.ready()).saturating_sub(self.delayed())
    }

    /// Workers that hold a lease.
    pub fn holding_workers(&self) -> usize {
        self.workers.holding()
    }

    /// The workers that hold a lease, each with its leases.
    pub fn held(&self) -> impl Iterator<Item = (WorkerId, impl Iterator<Item = Token> + '_)> + '_ {
        self.workers.held()
    }

    /// The smallest batch that any worker had to go down to, if one had to.
    pub fn batch_rows(&self) -> Option<NonZeroU32> {
        self.batch_rows
    }

    /// The lease of this name, if it is out.
    pub fn holder(&self, token: Token) -> Option<Holder> {
        let held = self.leases.get(token)?;
        let (worker, shard, granted_at) = (held.worker, held.shard, held.granted_at);
        Some(Holder { token, worker, shard, granted_at })
    }

    /// The leases that [`Event::TimePassed`](super::Event::TimePassed) at `now` would end, oldest
    /// deadline first.
    pub fn expired(&self, now: Moment) -> impl Iterator<Item = Holder> + '_ {
        self.leases.expired(now).filter_map(|token| self.holder(token))
    }

    /// The leases on one shard: none, one, or one and a backup.
    pub fn holders(&self, shard: ShardIndex) -> impl Iterator<Item = Holder> + '_ {
        self.leases.of_shard(shard).filter_map(|token| self.holder(token))
    }

    /// Where a shard stands; none if the run has no such shard.
    pub fn place(&self, shard: ShardIndex) -> Option<ShardPlace> {
        self.shards.place(shard)
    }

    /// Attempts of a shard that ended without a record.
    pub fn attempts(&self, shard: ShardIndex) -> u32 {
        self.shards.attempts(shard)
    }

    /// Those of them whose worker was told to go.
    pub fn preempted(&self, shard: ShardIndex) -> u32 {
        self.shards.preempted(shard)
    }

    /// Shards that are leased, in the order of their leases' names, so that the oldest come first;
    /// one with two leases comes twice.
    pub fn leased_shards(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.leases.shards()
    }

    /// Shards that wait out a pause after a failure, those that wake first before the others.
    pub fn pausing_shards(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.shards.pausing()
    }

    /// Until when leases of an older epoch are awaited, if they are at `now`.
    pub fn adopting_until(&self, now: Moment) -> Option<Moment> {
        self.adopting_until.filter(|until| now < *until)
    }

    /// Until when grants are stopped because attempts fail alike, if they are.
    pub fn paused_until(&self) -> Option<Moment> {
        self.breaker.as_ref().and_then(|breaker| breaker.open_until())
    }

    /// Free shards that a request at `now` could be granted.
    pub fn grantable(&self, now: Moment) -> u64 {
        if self.is_ending() || self.paused_until().is_some_and(|until| now < until) {
            return 0;
        }
        if let Some(canary) = self.canary {
            return u64::from(self.place(canary) == Some(ShardPlace::Ready));
        }
        let kept = self.adopting_until(now).map_or(0, |_| self.adopting_spare);
        self.ready().saturating_sub(kept)
    }

    /// Whether no attempt is worth making any more: the run was stopped or drained.
    pub fn is_ending(&self) -> bool {
        self.stopped || self.draining
    }
}

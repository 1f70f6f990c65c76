//! The leases that are out, found by name, by deadline, by shard and by age.

use std::collections::{BTreeMap, BTreeSet};

use super::{Moment, Token, WorkerId};
use crate::ids::ShardIndex;

/// One lease that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) worker: WorkerId,
    pub(super) shard: ShardIndex,
    pub(super) granted_at: Moment,
    pub(super) deadline: Moment,
    /// Taken over from an older epoch, so that `granted_at` is not when it began.
    pub(super) adopted: bool,
}

/// All leases that are out; every change and question is O(log n).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Leases {
    by_token: BTreeMap<Token, Held>,
    by_deadline: BTreeSet<(Moment, Token)>,
    by_shard: BTreeSet<(ShardIndex, Token)>,
    /// Leases that are the only one of their shard, oldest first.
    alone: BTreeSet<(Moment, Token)>,
}

const FIRST: Token = Token { epoch: 0, sequence: 0 };
const LAST: Token = Token { epoch: u64::MAX, sequence: u64::MAX };

impl Leases {
    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(super) fn get(&self, token: Token) -> Option<&Held> {
        self.by_token.get(&token)
    }

    /// The leases on one shard: none, one, or one and a backup.
    pub(super) fn of_shard(&self, shard: ShardIndex) -> impl Iterator<Item = Token> + '_ {
        self.by_shard.range((shard, FIRST)..=(shard, LAST)).map(|(_, token)| *token)
    }

    /// The shard of each lease, in the order of tokens, which only grow.
    pub(super) fn shards(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.by_token.values().map(|held| held.shard)
    }

    pub(super) fn insert(&mut self, token: Token, held: Held) {
        self.remove(token);
        self.by_shard.insert((held.shard, token));
        self.by_deadline.insert((held.deadline, token));
        self.by_token.insert(token, held);
        self.sort_out_alone(held.shard);
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Held> {
        let held = self.by_token.remove(&token)?;
        self.by_shard.remove(&(held.shard, token));
        self.by_deadline.remove(&(held.deadline, token));
        self.alone.remove(&(held.granted_at, token));
        self.sort_out_alone(held.shard);
        Some(held)
    }

    pub(super) fn renew(&mut self, token: Token, deadline: Moment) {
        if let Some(held) = self.by_token.get_mut(&token) {
            self.by_deadline.remove(&(held.deadline, token));
            held.deadline = deadline;
            self.by_deadline.insert((deadline, token));
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Moment> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// The leases whose deadline has come at `now`.
    pub(super) fn expired(&self, now: Moment) -> impl Iterator<Item = Token> + '_ {
        self.by_deadline.range(..=(now, LAST)).map(|(_, token)| *token)
    }

    /// The lease whose deadline is the most overdue at `now`.
    pub(super) fn first_expired(&self, now: Moment) -> Option<Token> {
        self.by_deadline.first().filter(|(deadline, _)| *deadline <= now).map(|(_, token)| *token)
    }

    /// The oldest lease that is the only one of its shard and not this worker's.
    pub(super) fn oldest_alone(&self, worker: WorkerId) -> Option<&Held> {
        let mut held = self.alone.iter().filter_map(|(_, token)| self.by_token.get(token));
        held.find(|held| held.worker != worker)
    }

    /// Enters or removes the leases of one shard, which are two at most.
    fn sort_out_alone(&mut self, shard: ShardIndex) {
        let tokens: Vec<Token> = self.of_shard(shard).collect();
        for token in &tokens {
            let Some(held) = self.by_token.get(token) else { continue };
            if tokens.len() == 1 {
                self.alone.insert((held.granted_at, *token));
            } else {
                self.alone.remove(&(held.granted_at, *token));
            }
        }
    }
}

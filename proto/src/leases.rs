//! The messages of `ShardLeases`: how a worker gets a shard, keeps it, and says how it ended.
//!
//! One file per call: [`acquire`], [`heartbeat`], [`release`], [`report`], and
//! [`create_record`] where the coordinator creates records. What they share is here:
//! the full name of a lease, and what a worker is told to do.

use nightshift_core::ids::{InvalidId, RunId, ShardIndex};
use nightshift_core::lease::Token;
use nightshift_core::plan::SHARDS_MAX;
use nightshift_core::record::FailureClass;

use crate::field::{self, InvalidPart, OutOfRange, invalid_message, same_enum};
use crate::wire;

pub mod acquire;
pub mod create_record;
pub mod heartbeat;
pub mod release;
pub mod report;

/// A lease in full; tokens alone are unique within a run only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    /// The run.
    pub run: RunId,
    /// The shard.
    pub shard: ShardIndex,
    /// The lease's name within the run.
    pub token: Token,
}

/// What a worker as a whole is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Finish what is leased, ask for no more, end with the exit code for a temporary failure.
    Drain,
    /// There is no more work and never will be: end well when the leases are done.
    Retire,
}

/// How far the attempt under a lease has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The lease is held ahead.
    Waiting,
    /// Rows are being read, scored and written.
    Scoring,
    /// The record is being created; the attempt will finish, whatever it is told.
    Committing,
}

same_enum!(Directive = Directive { Continue, Drain, Retire });
same_enum!(Phase = Phase { Waiting, Scoring, Committing });
same_enum!(FailureClass = FailureClass { Preempted, Lost, Transient, Data, Config, Cancelled });

invalid_message!(InvalidToken of "the token" { Epoch: OutOfRange = "epoch" });

invalid_message!(InvalidLeaseId of "the lease id" {
    Run: InvalidId = "run",
    Shard: OutOfRange = "shard",
    Token: InvalidPart<InvalidToken> = "token",
});

// === impl Token ===

impl From<Token> for wire::Token {
    fn from(token: Token) -> Self {
        Self { epoch: token.epoch, sequence: token.sequence }
    }
}

impl TryFrom<wire::Token> for Token {
    type Error = InvalidToken;

    fn try_from(token: wire::Token) -> Result<Self, InvalidToken> {
        // Epochs count from 1, so a 0 is a token that nobody has filled in.
        if token.epoch == 0 {
            let source = OutOfRange { value: 0, min: 1, max: u64::MAX };
            return Err(InvalidToken::Epoch { source });
        }
        Ok(Self { epoch: token.epoch, sequence: token.sequence })
    }
}

// === impl LeaseId ===

impl From<LeaseId> for wire::LeaseId {
    fn from(lease: LeaseId) -> Self {
        Self { run: lease.run.to_string(), shard: lease.shard.0, token: Some(lease.token.into()) }
    }
}

impl TryFrom<wire::LeaseId> for LeaseId {
    type Error = InvalidLeaseId;

    fn try_from(lease: wire::LeaseId) -> Result<Self, InvalidLeaseId> {
        Ok(Self {
            run: lease.run.parse().map_err(|source| InvalidLeaseId::Run { source })?,
            shard: shard(lease.shard).map_err(|source| InvalidLeaseId::Shard { source })?,
            token: field::part(lease.token).map_err(|source| InvalidLeaseId::Token { source })?,
        })
    }
}

/// A position that some plan can have.
pub(crate) fn shard(position: u32) -> Result<ShardIndex, OutOfRange> {
    field::within(position, 0, SHARDS_MAX - 1).map(ShardIndex)
}

#[cfg(test)]
mod tests;

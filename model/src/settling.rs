//! The real settle protocol inside a state that can be hashed.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use nightshift_core::ids::ShardIndex;
use nightshift_core::settle::{
    AwaitReadBack, AwaitReply, Backoff, CommitPermit, CreateReply, Decision, ReadBack,
    settle_document, settle_record,
};

use crate::documents::{Documents, attempt_id};
use crate::store::{Body, Fate, Key, Store};

/// Waits do not matter here, only their number.
const BACKOFF: Backoff =
    Backoff { first: Duration::ZERO, longest: Duration::ZERO, creates_max: 2, unreadable_max: 0 };
const JITTER: f64 = 0.5;

/// What a worker that settles its record waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    /// The record is to be created.
    Reply(AwaitReply<CommitPermit>),
    /// The record is to be read back.
    ReadBack(AwaitReadBack<CommitPermit>),
}

/// A settlement under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    awaited: Awaited,
    /// Creates that were sent. With the attempt, which its owner's state holds, it tells apart
    /// all states of the protocol, which has no `Hash` of its own.
    creates: u8,
}

impl Hash for Settling {
    fn hash<H: Hasher>(&self, to: &mut H) {
        matches!(self.awaited, Awaited::Reply(_)).hash(to);
        self.creates.hash(to);
    }
}

/// How a step of a settlement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Goes(Settling),
    /// The record is this attempt's.
    Won(CommitPermit),
    /// The record is another's.
    Lost,
    /// Nobody knows.
    Unsettled,
}

impl Settling {
    /// Begins to settle the record of an attempt.
    pub fn begin(documents: &Documents, shard: u8, attempt: u8) -> Self {
        let (run, index) = (documents.plan.run.clone(), ShardIndex(shard.into()));
        let awaited = Awaited::Reply(settle_record(run, index, attempt_id(attempt), BACKOFF));
        Self { awaited, creates: 0 }
    }

    /// Whether the next step is a create.
    pub fn creates_next(&self) -> bool {
        matches!(self.awaited, Awaited::Reply(_))
    }

    /// Takes in the answer to a create.
    pub fn answered(self, reply: CreateReply) -> Outcome {
        let creates = self.creates + 1;
        match self.awaited {
            Awaited::Reply(next) => Self::outcome(next.answered::<Body>(reply), creates),
            Awaited::ReadBack(_) => Outcome::Goes(self),
        }
    }

    /// Takes in what was read back.
    pub fn found(self, found: ReadBack<Body>) -> Outcome {
        match self.awaited {
            Awaited::ReadBack(next) => Self::outcome(next.found(found, JITTER), self.creates),
            Awaited::Reply(_) => Outcome::Goes(self),
        }
    }

    fn outcome(decision: Decision<CommitPermit, Body>, creates: u8) -> Outcome {
        match decision {
            Decision::ReadBack { then, .. } => {
                Outcome::Goes(Self { awaited: Awaited::ReadBack(then), creates })
            }
            Decision::RetrySameBytes { then, .. } => {
                Outcome::Goes(Self { awaited: Awaited::Reply(then), creates })
            }
            Decision::Won(permit) => Outcome::Won(permit),
            Decision::Lost(_) => Outcome::Lost,
            Decision::Unsettled { .. } | Decision::Denied(_) => Outcome::Unsettled,
        }
    }
}

/// Creates a document and reads it back where the protocol says so; true if the document exists
/// by then, whoever made it. Not seen to exist is left for another time.
pub fn create_and_look(
    store: &mut Store,
    key: Key,
    body: Body,
    fate: Fate,
    overwrite: bool,
) -> bool {
    let reply = store.create(key, body, fate, overwrite);
    let decision: Decision<(), Body> = settle_document(BACKOFF).answered(reply);
    let decision = match decision {
        Decision::ReadBack { then, .. } => then.found(store.read_back(key, body), JITTER),
        other => other,
    };
    matches!(decision, Decision::Won(()) | Decision::Lost(_))
}

//! What is known about one date.

use crate::conclusion::FinalState;
use crate::decide::Release;
use crate::ids::{Digest, Generation};

/// Everything that was found out about one date so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the ledger says; it is asked first, for all dates at once.
    pub index: Index,
    /// What the store says, once it was asked.
    pub store: Option<Store>,
    /// What the input is, once somebody looked.
    pub input: Option<Input>,
}

/// What the ledger says about a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Index {
    /// It succeeded, in the very output that is asked about, and no gate withholds it.
    Done(Indexed),
    /// Anything else: no entry, another output's, a date that did not succeed, no ledger.
    Silent,
    /// The ledger does not answer.
    Unavailable,
}

/// A date that the ledger calls done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// The generation that succeeded.
    pub generation: Generation,
    /// Its model; entries of earlier versions do not have it.
    pub model: Option<Digest>,
    /// Its fingerprint.
    pub fingerprint: Digest,
}

/// What the store says about a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// These are its documents.
    Says(Stored),
    /// It does not answer, and why.
    Unavailable(String),
}

/// The documents of a date, in short.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The newest generation that has a final.
    pub concluded: Option<Concluded>,
    /// The newest generation that is claimed, if it is newer than that.
    pub open: Option<Open>,
}

/// The verdict of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concluded {
    /// The generation.
    pub generation: Generation,
    /// The verdict.
    pub state: FinalState,
    /// Whether readers may see its output.
    pub release: Release,
    /// Its model.
    pub model: Digest,
    /// Its fingerprint.
    pub fingerprint: Digest,
    /// Retries that backfills have made, this generation included
    /// ([`Claim::retry`](crate::decide::Claim::retry)).
    pub retries: u32,
}

/// A generation that is claimed and has no final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The generation.
    pub generation: Generation,
    /// The model of its plan, if it has one.
    pub planned: Option<Digest>,
    /// Its newest epoch; 0 if none was opened.
    pub epoch: u64,
    /// Who opened that epoch, or claimed the run: host and process.
    pub holder: String,
    /// Whether the claim is a recorded request to do again what is done.
    pub is_forced: bool,
    /// Whether that process is taken to be at work; see [`life`](super::life).
    pub is_alive: bool,
}

/// What a look at the input of a date found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Rows to score.
    Present {
        /// What the fingerprint of a run would be that started now.
        fingerprint: Digest,
    },
    /// Nothing.
    Missing,
    /// Something that cannot be planned, and why.
    Unreadable(String),
}

impl Known {
    /// What is known when only the ledger was asked.
    pub fn new(index: Index) -> Self {
        Self { index, store: None, input: None }
    }
}

impl Stored {
    /// The newest generation that was claimed or concluded.
    pub fn newest(&self) -> Option<Generation> {
        let open = self.open.as_ref().map(|open| open.generation);
        open.max(self.concluded.map(|concluded| concluded.generation))
    }
}

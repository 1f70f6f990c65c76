//! The ledger: an index of what is complete, which can be thrown away at any time.
//!
//! Truth lies in the output store. The ledger only makes it quick to ask: which dates are done,
//! and which shards of the runs that are under way. It is never ahead of the truth (I4): what
//! it says is done has a record or a final in the store. That a date has no input ([`Gap`]) is the
//! one thing it says that is not so: a hint, which nothing is decided by. In the order of the data:
//!
//! 1. [`entry`]: what the ledger says about one date.
//! 2. [`changes`]: what is written together, and which of it would turn the ledger back.
//! 3. [`Ledger`]: the outside system, with the two implementations [`memory`] and
//!    [`mod@redis`], and [`error`] for what they refuse.
//! 4. [`survey`]: what the store says, for a ledger that has to be made anew.
//! 5. [`keeper`]: the task that keeps a ledger up to date and never blocks its callers.
//! 6. [`consult`]: ledger and store are asked about dates, and the ledger is told what was found.
//!
//! # Whose ledger it is
//!
//! A ledger of a spec name carries the id of the output root that it indexes. Every write is
//! conditional on that id, so that facts about one output never end up in the index of another.
//! A rebuild of a ledger that is nobody's, or another root's, takes the id away first
//! ([`Ledger::begin`]) and gives it back last ([`Ledger::finish`]): in between readers believe
//! nothing. Several processes that serve the same root may do all of this at the same time.
//!
//! Each process that writes is a [`Writer`] with a sequence that every write advances. When a
//! server comes back with an older sequence it has forgotten something, and is caught up from
//! the store.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use nightshift_core::ids::{Partition, RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;

pub mod entry;
pub mod changes;
pub mod error;
pub mod memory;
pub mod redis;
pub mod survey;
pub mod keeper;
pub mod consult;

pub use changes::{Changes, Held};
pub use entry::{DateEntry, Gap, Progress};
pub use error::{LedgerError, Lost, Reason};
pub use keeper::{Counters, Keeper, KeeperHandle, LedgerState, ServedRoot};
pub use memory::MemoryLedger;

/// Version of what is kept under a name; another version is made anew.
pub const VERSION: u32 = 1;

/// One process, or one keeper in it, that writes to ledgers; a ULID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Writer(String);

/// A write as its writer numbers it, and the output root that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The output root that the facts come from.
    pub root: RootId,
    /// Who writes.
    pub writer: Writer,
    /// The sequence that the writer left; none while it rebuilds and does not know.
    pub expected: Option<u64>,
    /// The sequence that this write leaves.
    pub sequence: u64,
}

/// Whose a ledger is, as one look at it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// The output root that it indexes; none when it is empty or being rebuilt.
    pub root: Option<RootId>,
    /// Version of what is kept.
    pub version: Option<u32>,
    /// The output root that it is being rebuilt for.
    pub rebuilding: Option<RootId>,
    /// The sequence of the writer that looks.
    pub sequence: Option<u64>,
}

/// An index of finals and records, one for each spec name.
///
/// Writes are idempotent. After an error of a write it is unknown whether it happened; the
/// sequence tells whoever looks later.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// A word for logs: `memory` or `redis`.
    fn kind(&self) -> &'static str;

    /// Looks whose ledger `name` is.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn look(&self, name: &SpecName, writer: &Writer) -> Result<Look, LedgerError>;

    /// Begins a rebuild for the root of `stamp`, and says what was found. A ledger of that very
    /// root stays readable meanwhile; any other loses its identity.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`], also when the server takes no writes.
    async fn begin(&self, name: &SpecName, stamp: &Stamp) -> Result<Look, LedgerError>;

    /// Makes changes, all of them or none, without those that a newer date has overtaken (see
    /// [`Changes::effective`]).
    ///
    /// # Errors
    /// [`LedgerError::Lost`] if the ledger is not that of the stamp's root, or the writer's
    /// sequence is not the expected one; nothing is written then.
    async fn apply(
        &self,
        name: &SpecName,
        stamp: &Stamp,
        changes: &Changes,
    ) -> Result<(), LedgerError>;

    /// Ends a rebuild: readers may believe the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] if somebody began to rebuild it for another root.
    async fn finish(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError>;

    /// Removes everything of a ledger that cannot be read, whosever it was, and begins to rebuild
    /// it for the root of `stamp`.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn clear(&self, name: &SpecName, stamp: &Stamp) -> Result<(), LedgerError>;

    /// Every entry as it stands, whoever wrote it: for a rebuild, not for decisions.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if something there is no entry.
    async fn entries(&self, name: &SpecName)
    -> Result<BTreeMap<Partition, DateEntry>, LedgerError>;

    /// The runs for which shards are kept.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if something there is no run of this name.
    async fn runs(&self, name: &SpecName) -> Result<BTreeSet<RunId>, LedgerError>;

    /// The shards of a run that have a record; empty for a run that is concluded.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if something there is no shard.
    async fn done(&self, run: &RunId) -> Result<BTreeSet<ShardIndex>, LedgerError>;

    /// How far a run is, if anybody said so lately; none for a run that is concluded.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn progress(&self, run: &RunId) -> Result<Option<Progress>, LedgerError>;

    /// The entries of dates, in one round trip, if the ledger is that of `root`. About a date
    /// without an entry, or with one of another root or one that cannot be read, the store has to
    /// be asked.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] if the ledger is not that of `root`.
    async fn dates(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, DateEntry>, LedgerError>;

    /// Which of these dates had no input when somebody looked, in one round trip, if the ledger is
    /// that of `root`: for people, not for decisions.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] if the ledger is not that of `root`.
    async fn gaps(
        &self,
        name: &SpecName,
        root: &RootId,
        partitions: &[Partition],
    ) -> Result<BTreeMap<Partition, Gap>, LedgerError>;
}

// === impl Writer ===

impl Writer {
    /// A writer that nobody has met yet.
    pub fn random() -> Self {
        Self(ulid::Ulid::generate().to_string())
    }

    /// Whoever writes once and never looks again: all of them are this one writer, so that they
    /// push no other out of a ledger's memory. The sequence that it leaves means nothing.
    pub fn passing() -> Self {
        Self(ulid::Ulid::nil().to_string())
    }

    /// The ULID; a later writer's compares greater.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Stamp ===

impl Stamp {
    /// The stamp of a single write about `root`, by a process that keeps no ledger.
    pub fn in_passing(root: &RootId) -> Self {
        Self { root: root.clone(), writer: Writer::passing(), expected: None, sequence: 1 }
    }
}

// === impl Look ===

impl Look {
    /// Whether readers of `root` may believe the ledger.
    pub fn is_of(&self, root: &RootId) -> bool {
        self.root.as_ref() == Some(root) && self.version == Some(VERSION)
    }

    /// Checks that a write with this stamp belongs here.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] with what is in the way.
    pub fn admit(&self, stamp: &Stamp) -> Result<(), LedgerError> {
        let rebuilding = self.rebuilding.as_ref() == Some(&stamp.root);
        match stamp.expected {
            None if rebuilding || self.is_of(&stamp.root) => Ok(()),
            Some(_) if self.is_of(&stamp.root) && self.sequence == stamp.expected => Ok(()),
            _ => Err(LedgerError::Lost(self.loss(stamp))),
        }
    }

    /// Checks that readers of `root` may believe the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] with whose it is.
    pub fn believe(&self, root: &RootId) -> Result<(), LedgerError> {
        if self.is_of(root) {
            return Ok(());
        }
        let reader = Stamp::in_passing(root);
        Err(LedgerError::Lost(self.loss(&reader)))
    }

    fn loss(&self, stamp: &Stamp) -> Lost {
        match (&self.root, &self.rebuilding) {
            (Some(found), _) | (None, Some(found)) if *found != stamp.root => {
                Lost::Foreign { found: found.clone(), wanted: stamp.root.clone() }
            }
            (Some(_), _) if self.version != Some(VERSION) => Lost::Version { found: self.version },
            (Some(_), _) if self.sequence.is_some() => {
                Lost::Stale { found: self.sequence, expected: stamp.expected }
            }
            _ => Lost::Wiped,
        }
    }
}

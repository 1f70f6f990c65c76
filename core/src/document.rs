//! What every stored document has in common: a kind, a version and a bound on its size.
//!
//! A document is JSON, created once and never changed. The reader refuses a version that it
//! does not know, and bytes beyond the bound of the kind.

use serde::de::DeserializeOwned;

use crate::conclusion::Final;
use crate::decide::{Claim, Epoch};
use crate::gates::Approval;
use crate::plan::{Outline, Plan};
use crate::record::Record;
use crate::report::Report;
use crate::report::telling::{Told, Try};

/// The kinds of stored documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Identity of an output root.
    Root,
    /// Who alone decides in an output root; the one kind that is written again.
    Holder,
    /// An output root that a coordinator serves.
    Served,
    /// Claim of a date.
    Claim,
    /// Plan of a run.
    Plan,
    /// Epoch of a run.
    Epoch,
    /// Verdict of a shard.
    Record,
    /// Verdict of a run.
    Final,
    /// What a person decided about a withheld run.
    Approval,
    /// Report of a run, also the content of `_SUCCESS`.
    Report,
    /// A try to tell others of a run.
    Try,
    /// A mark that others were told of a run.
    Told,
    /// The decision that a generation's data goes.
    Removal,
}

impl Kind {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root identity",
            Self::Holder => "holder",
            Self::Served => "served root",
            Self::Claim => "claim",
            Self::Plan => "plan",
            Self::Epoch => "epoch",
            Self::Record => "record",
            Self::Final => "final",
            Self::Approval => "approval",
            Self::Report => "report",
            Self::Try => "try to tell",
            Self::Told => "told mark",
            Self::Removal => "removal",
        }
    }

    /// Most bytes that a document of this kind may have, written or read.
    pub fn size_max_bytes(self) -> u64 {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        match self {
            // A handful of identifiers, and room for the requester's words.
            Self::Root
            | Self::Holder
            | Self::Served
            | Self::Claim
            | Self::Epoch
            | Self::Approval
            | Self::Try
            | Self::Told
            | Self::Removal => 64 * KIB,
            // Bounded by what a worker may report in one message.
            Self::Record => 64 * KIB,
            // 1,000,000 shards at some 150 bytes, and as many input files with long names.
            Self::Plan => 1024 * MIB,
            // Names the quarantined shards, each with a short reason.
            Self::Final | Self::Report => 256 * MIB,
        }
    }
}

/// A type that a write-once JSON document is read as; all but [`Outline`] are written, too.
pub trait Document: DeserializeOwned + Send + 'static {
    /// What it is.
    const KIND: Kind;
    /// The only version that this build reads, and the one that it writes.
    const VERSION: u32;

    /// The version that this value carries.
    fn version(&self) -> u32;
}

macro_rules! documents {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl Document for $type {
            const KIND: Kind = Kind::$kind;
            const VERSION: u32 = <$type>::VERSION;

            fn version(&self) -> u32 {
                self.version
            }
        }
    )*};
}

documents! {
    Claim => Claim,
    Plan => Plan,
    Outline => Plan,
    Epoch => Epoch,
    Record => Record,
    Final => Final,
    Approval => Approval,
    Report => Report,
    Try => Try,
    Told => Told,
}

//! Rules that can be broken one at a time, to see that a property notices.

use crate::judge;

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Creates replace what exists.
    CreatesOverwrite,
    /// A create without an answer counts as won.
    UnknownIsWon,
    /// "Already exists" counts as won.
    RefusedIsWon,
    /// A record of another attempt counts as won when it is read back.
    LostIsWon,
    /// The visible file is made before the record.
    PublishBeforeRecord,
    /// The record is made before its data is complete.
    RecordBeforeData,
    /// An attempt with an unknown outcome removes its staged data.
    DeleteOnUnknown,
    /// The ledger is marked when a shard is granted.
    LedgerOnGrant,
    /// The ledger says that the run is over before the final exists.
    LedgerBeforeFinal,
    /// A worker reports success when its data is staged.
    ReportBeforeRecord,
    /// The final counts a shard as given up that only has no lease any more.
    FinalWithoutRecords,
    /// The final carries who wrote it.
    ImpureFinal,
    /// The final does not wait for visible files.
    FinalBeforePublish,
    /// Each coordinator makes a plan of its own.
    OwnPlan,
    /// A lease never expires.
    NoExpiry,
    /// The order to write a quarantine record is dropped.
    QuarantineDropped,
    /// A quarantine record that could not be written is not tried again.
    QuarantineNotRepeated,
    /// After a restart, adoption never ends.
    AdoptionForEver,
    /// A new coordinator takes shards of unfinished attempts for decided.
    StagedIsDecided,
}

/// Each mutant and the property that catches it.
pub const CAUGHT_BY: [(Mutant, &str); 19] = [
    (Mutant::CreatesOverwrite, judge::I3),
    (Mutant::UnknownIsWon, judge::I6),
    (Mutant::RefusedIsWon, judge::I6),
    (Mutant::LostIsWon, judge::I6),
    (Mutant::PublishBeforeRecord, judge::I6),
    (Mutant::RecordBeforeData, judge::I2),
    (Mutant::DeleteOnUnknown, judge::I2),
    (Mutant::LedgerOnGrant, judge::I4),
    (Mutant::LedgerBeforeFinal, judge::I4),
    (Mutant::ReportBeforeRecord, judge::I3),
    (Mutant::FinalWithoutRecords, judge::I1),
    (Mutant::ImpureFinal, judge::I5),
    (Mutant::FinalBeforePublish, judge::I6),
    (Mutant::OwnPlan, judge::I5),
    (Mutant::NoExpiry, judge::I8),
    (Mutant::QuarantineDropped, judge::I8),
    (Mutant::QuarantineNotRepeated, judge::I8),
    (Mutant::AdoptionForEver, judge::I8),
    (Mutant::StagedIsDecided, judge::I8),
];

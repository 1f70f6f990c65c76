//! Rules that can be broken one at a time, to see that a schedule notices.

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Creates replace what exists.
    CreatesOverwrite,
    /// A create without an answer counts as done.
    UnknownIsWon,
    /// Whoever finds a generation claimed goes on with it all the same.
    NoClaim,
    /// Whoever finds a dead run goes on with it without opening its next epoch.
    NoEpoch,
    /// Holders that live are taken for dead.
    HoldersAreDead,
    /// A run whose holder is gone is taken for unfinished without another look for its final.
    GoneIsUnfinished,
    /// Shards with a record are computed again.
    RecordsAreIgnored,
    /// A retry computes what is committed again.
    NothingIsInherited,
    /// The final does not wait for shards whose record could not be settled.
    FinalWithoutRecords,
    /// A final says that its run succeeded, whatever the records say.
    FailedIsSucceeded,
    /// Runs go on with the plan of this process instead of the stored one.
    OwnPlan,
    /// The ledger is told before the final is created.
    LedgerBeforeFinal,
    /// The ledger is told of finals that did not succeed, as if they had.
    LedgerOfFailures,
    /// What another output's ledger says is believed.
    ForeignIsBelieved,
    /// A ledger that is made anew keeps what it said before.
    RebuildKeepsEntries,
    /// A ledger without an entry is taken for a store without a claim.
    SilenceIsAbsence,
    /// What is done is compared with the model of the first day.
    ModelOfTheFirstDay,
    /// What is done is compared with the input that it was made from.
    InputIsNotLookedAt,
}

/// Those that most schedules notice.
pub(crate) const OFTEN: [Broken; 17] = [
    Broken::CreatesOverwrite,
    Broken::UnknownIsWon,
    Broken::NoClaim,
    Broken::NoEpoch,
    Broken::HoldersAreDead,
    Broken::RecordsAreIgnored,
    Broken::NothingIsInherited,
    Broken::FinalWithoutRecords,
    Broken::FailedIsSucceeded,
    Broken::OwnPlan,
    Broken::LedgerBeforeFinal,
    Broken::LedgerOfFailures,
    Broken::ForeignIsBelieved,
    Broken::RebuildKeepsEntries,
    Broken::SilenceIsAbsence,
    Broken::ModelOfTheFirstDay,
    Broken::InputIsNotLookedAt,
];

/// Those that take a process which stalls between two looks while the model is replaced: one
/// schedule in hundreds notices.
pub(crate) const RARELY: [Broken; 1] = [Broken::GoneIsUnfinished];

//! How a run ended, as far as accounts need to know.

use jiff::Timestamp;

use super::{Final, FinalState, Generation, Partition, Totals};

/// The final of a run without its statistics: small enough to hold thousands.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The date, or `all`.
    pub partition: Partition,
    /// The generation.
    pub generation: Generation,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was planned.
    pub planned_at: Timestamp,
    /// When its last shard was decided.
    pub decided_at: Timestamp,
    /// Sums over its records, the inherited ones too.
    pub totals: Totals,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Every shard is committed.
    Succeeded,
    /// The same, and its gate withheld it from readers; a person decides, and may have.
    Withheld,
    /// Some shards are committed.
    Partial,
    /// None is.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Withheld, Self::Partial, Self::Failed];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Withheld => "withheld",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

impl From<&Final> for Ending {
    fn from(verdict: &Final) -> Self {
        let outcome = match verdict.state {
            FinalState::Succeeded if verdict.waits_for_approval() => Outcome::Withheld,
            FinalState::Succeeded => Outcome::Succeeded,
            FinalState::Partial => Outcome::Partial,
            FinalState::Failed => Outcome::Failed,
        };
        Self {
            partition: verdict.run.partition,
            generation: verdict.run.generation,
            outcome,
            planned_at: verdict.planned_at,
            decided_at: verdict.decided_at,
            totals: verdict.totals.clone(),
        }
    }
}

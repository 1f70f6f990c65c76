//! What a person decided about an output that a gate withheld.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::RunId;

/// Longest reason that a person gives, in characters; leaves ample room under the bound of the
/// document.
pub const REASON_MAX_CHARS: usize = 1_000;

/// `approvals/<partition>/g<n>.json`: created once, so that the first decision counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Layout version of this document.
    pub version: u32,
    /// The run whose output was withheld.
    pub run: RunId,
    /// What was decided.
    pub judgement: Judgement,
    /// Who decided, for people: user, host and process.
    pub decided_by: String,
    /// When, by the clock of whoever wrote it down.
    pub decided_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// The output is published.
    Approved,
    /// It never is.
    Rejected,
}

impl Approval {
    /// Version that this build writes.
    pub const VERSION: u32 = 1;
}

impl Judgement {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Approved, Self::Rejected];

    /// The name in documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Who alone decides in an output root whose store ignores the condition of a create.
//!
//! Where the store cannot say who was first, one process has to: with
//! [`CommitMode::Coordinator`] everything that is created once is created by the process that
//! holds the root. `holder.json` says which. It is the only document that is written again and
//! again, and no promise rests on its being written once: a store that ignores conditions keeps
//! no lock. What it gives is this, as long as the store shows each write to the next read:
//!
//! - Of processes that start at about the same time one goes on: each writes its name, waits
//!   for as long as another's write may be under way, and goes on if its own name is there.
//! - A process that finds a holder waits until that has shown no sign of life for
//!   [`Holder::lasts`], by its own clock. One that lives renews far more often and is seen to.
//! - A holder that could not renew for half of that time writes nothing more.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::document::{Document, Kind};
use crate::ids::AttemptId;

/// Who says which of two creates of one name came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitMode {
    /// The store: a create carries a condition, and the store refuses the second.
    #[default]
    Store,
    /// One process, the coordinator or a run on a laptop: it looks, then writes.
    Coordinator,
}

/// Text that names no commit mode.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no commit mode; write store, or coordinator for a store that ignores conditions"
)]
pub struct InvalidCommitMode {
    text: String,
}

/// The document at [`Object::Holder`](crate::layout::Object::Holder).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Layout version of this document.
    pub version: u32,
    /// A random id of the process; no other has it, and none that is started again.
    pub token: AttemptId,
    /// The process, for people.
    pub who: String,
    /// Since when it holds the root, by its clock; for people.
    pub since: Timestamp,
    /// Counts its signs of life.
    pub beat: u64,
    /// Without a sign of life for so long it is taken for dead, in milliseconds.
    pub lasts_ms: u64,
    /// It has ended and nothing of it is under way.
    pub released: bool,
}

/// What a process does that wants to hold a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nobody holds it, or who did is dead: write the own name, and see whether it stays.
    Take,
    /// Look again: whether the holder lives is not known yet.
    Watch,
    /// The holder lives.
    Refuse,
}

/// What to do about `found`, where the first look found `first` and nothing has changed for
/// `unchanged` by the looker's own clock.
pub fn decide(found: Option<&Holder>, first: Option<&Holder>, unchanged: Duration) -> Step {
    let Some(found) = found.filter(|found| !found.released) else { return Step::Take };
    match first {
        Some(first) if first.token == found.token && first.beat == found.beat => {
            if unchanged > found.lasts() { Step::Take } else { Step::Watch }
        }
        // Another, or a sign of life.
        Some(_) => Step::Refuse,
        None => Step::Watch,
    }
}

impl Holder {
    /// Longest time that a holder may ask others to wait.
    pub const LASTS_MAX: Duration = Duration::from_secs(1_800);

    /// How long it counts as alive without a sign of life.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms).min(Self::LASTS_MAX)
    }
}

impl Document for Holder {
    const KIND: Kind = Kind::Holder;
    const VERSION: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

impl FromStr for CommitMode {
    type Err = InvalidCommitMode;
    fn from_str(text: &str) -> Result<Self, InvalidCommitMode> {
        match text {
            "store" => Ok(Self::Store),
            "coordinator" => Ok(Self::Coordinator),
            _ => Err(InvalidCommitMode { text: text.chars().take(40).collect() }),
        }
    }
}

impl fmt::Display for CommitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Coordinator => "coordinator",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(token: char, beat: u64) -> Holder {
        Holder {
            version: Holder::VERSION,
            token: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{token}").parse().unwrap(),
            who: "host:1".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            beat,
            lasts_ms: 60_000,
            released: false,
        }
    }

    #[test]
    fn who_lives_is_not_followed_and_who_is_silent_is() {
        let (short, long) = (Duration::from_secs(60), Duration::from_millis(60_001));
        let (a, b) = (holder('A', 1), holder('B', 1));
        assert_eq!(decide(None, None, short), Step::Take);
        assert_eq!(decide(Some(&a), None, long), Step::Watch, "the first look tells no time");
        assert_eq!(decide(Some(&a), Some(&a), short), Step::Watch);
        assert_eq!(decide(Some(&a), Some(&a), long), Step::Take);
        assert_eq!(decide(Some(&holder('A', 2)), Some(&a), long), Step::Refuse);
        assert_eq!(decide(Some(&b), Some(&a), long), Step::Refuse);
        let released = Holder { released: true, ..a.clone() };
        assert_eq!(decide(Some(&released), None, Duration::ZERO), Step::Take);
        assert_eq!(decide(Some(&released), Some(&a), short), Step::Take);
        assert_eq!(decide(None, Some(&a), short), Step::Take);
    }

    #[test]
    fn nobody_is_waited_for_without_bound() {
        let patient = Holder { lasts_ms: u64::MAX, ..holder('A', 1) };
        assert_eq!(patient.lasts(), Holder::LASTS_MAX);
    }

    #[test]
    fn a_mode_reads_back() {
        for mode in [CommitMode::Store, CommitMode::Coordinator] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "worker".parse::<CommitMode>().unwrap_err().to_string();
        assert!(error.contains("`worker` is no commit mode; write store"), "{error}");
    }
}

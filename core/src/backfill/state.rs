//! How a date stands, in the words that people are shown: an [`Instruction`] says what is done
//! about it, this says what it looks like.

use std::fmt;

use crate::backfill::instruction::{Instruction, Why};
use crate::conclusion::{Final, FinalState};
use crate::plan::{ModelIdentity, Outline, TaskSettings};

/// How a date stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateState {
    /// It succeeded and is current.
    Done,
    /// It succeeded, and would come out otherwise now.
    Stale(Change),
    /// It succeeded and stays, because there is nothing to do it again with.
    Kept,
    /// It ended partial or failed.
    Ended {
        /// The verdict.
        state: FinalState,
        /// Shards that were given up, of all, where the verdict is at hand.
        given_up: Option<(u64, u64)>,
    },
    /// Somebody works on it.
    Running {
        /// Host and process.
        holder: String,
    },
    /// Whoever worked on it is gone.
    Unfinished {
        /// Host and process, where it is known.
        holder: Option<String>,
    },
    /// A gate withholds it, and a person is to decide.
    Withheld,
    /// A gate withheld it, and a person has rejected it.
    Rejected,
    /// It was never run.
    Missing,
    /// Somebody asked to run it, whatever is there.
    Forced,
    /// There is no input.
    NoInput,
    /// Its input cannot be planned.
    Unreadable,
    /// Nobody can tell.
    Unknown,
}

/// What is other than it was for the generation that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The model, by its versions, or the first digits of its digests.
    Model {
        /// The one that made what is there.
        from: String,
        /// Today's.
        to: String,
    },
    /// Format, columns or another setting of the task.
    Settings,
    /// Files of the input.
    Input,
    /// One of these; the plan of that generation is not at hand to compare.
    Any,
}

/// What is at hand about a date beside the instruction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The verdict of its newest concluded generation.
    pub verdict: Option<&'a Final>,
    /// The plan of that generation.
    pub made_by: Option<&'a Outline>,
    /// Today's model.
    pub model: Option<&'a ModelIdentity>,
    /// Today's settings.
    pub task: Option<&'a TaskSettings>,
}

// === impl DateState ===

impl DateState {
    /// The state of a date about which this is to be done.
    pub fn of(instruction: &Instruction, evidence: Evidence<'_>) -> Self {
        let ended = |state| {
            let verdict = evidence.verdict.filter(|verdict| verdict.state == state);
            let totals = verdict.map(|verdict| &verdict.totals);
            Self::Ended { state, given_up: totals.map(|it| (it.quarantined, it.shards)) }
        };
        match instruction {
            Instruction::Skip { .. } => Self::Done,
            Instruction::Keep { .. } => Self::Kept,
            Instruction::Start { why, .. } => match why {
                Why::Missing => Self::Missing,
                Why::Retry { state, .. } => ended(*state),
                Why::ModelChanged { .. } | Why::AnyChanged => {
                    Self::Stale(Change::of(*why, evidence))
                }
                Why::Abandoned { .. } => Self::Unfinished { holder: None },
                Why::Asked => Self::Forced,
            },
            Instruction::Join { holder, .. } => Self::Unfinished { holder: Some(holder.clone()) },
            Instruction::Leave { holder, .. } => Self::Running { holder: holder.clone() },
            Instruction::NoInput => Self::NoInput,
            Instruction::Unreadable(_) => Self::Unreadable,
            Instruction::GiveUp { state, .. } => ended(*state),
            Instruction::Held { rejected: false, .. } => Self::Withheld,
            Instruction::Held { rejected: true, .. } => Self::Rejected,
            Instruction::Unavailable(_) => Self::Unknown,
        }
    }

    /// What stands behind the word, if there is more to say.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Stale(change) => Some(change.to_string()),
            Self::Kept => Some("its input is gone".to_owned()),
            Self::Ended { given_up: Some((given_up, shards)), .. } => {
                Some(format!("{given_up} of {shards} shards"))
            }
            Self::Running { holder } => Some(format!("held by {holder}")),
            Self::Unfinished { holder: Some(holder) } => Some(format!("left by {holder}")),
            _ => None,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stale(_) | Self::Kept => "stale",
            Self::Ended { state, .. } => state.as_str(),
            Self::Running { .. } => "running",
            Self::Unfinished { .. } => "unfinished",
            Self::Withheld => "withheld",
            Self::Rejected => "rejected",
            Self::Missing => "missing",
            Self::Forced => "forced",
            Self::NoInput => "no input",
            Self::Unreadable => "unreadable input",
            Self::Unknown => "unknown",
        }
    }
}

/// As in `stale: model changed v2 -> v3`, `failed: 2 of 12 shards` or `running (held by node:7)`.
impl fmt::Display for DateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self.detail() {
            None => f.write_str(word),
            Some(who) if matches!(self, Self::Running { .. } | Self::Unfinished { .. }) => {
                write!(f, "{word} ({who})")
            }
            Some(detail) => write!(f, "{word}: {detail}"),
        }
    }
}

// === impl Change ===

impl Change {
    /// A fingerprint is made of inputs, model and settings, so that a date whose fingerprint has
    /// changed has another input if it has the same model and the same settings.
    fn of(why: Why, evidence: Evidence<'_>) -> Self {
        let Evidence { verdict, made_by, model, task } = evidence;
        let made_by = made_by.filter(|plan| verdict.is_some_and(|it| it.run == plan.run));
        let made_with = made_by.map(|plan| &plan.model);
        match (why, made_with, model, made_by.zip(task)) {
            (_, Some(from), Some(to), _) if from.digest != to.digest => Self::models(from, to),
            (Why::ModelChanged { from, to }, ..) => {
                Self::Model { from: from.short(), to: to.short() }
            }
            (_, _, _, None) => Self::Any,
            (_, _, _, Some((plan, task))) if plan.task != *task => Self::Settings,
            _ => Self::Input,
        }
    }

    /// The same version may stand for other weights, which only digests tell.
    fn models(from: &ModelIdentity, to: &ModelIdentity) -> Self {
        let (from, to) = match (&from.version, &to.version) {
            (Some(old), Some(new)) if old != new => (old.clone(), new.clone()),
            _ => (from.digest.short(), to.digest.short()),
        };
        Self::Model { from, to }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model { from, to } => write!(f, "model changed {from} -> {to}"),
            Self::Settings => f.write_str("settings changed"),
            Self::Input => f.write_str("input changed"),
            Self::Any => f.write_str("input, model or settings changed"),
        }
    }
}

#[cfg(test)]
mod tests;

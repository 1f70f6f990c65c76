//! What happens next with a date, in plain words.

use nightshift_core::backfill::RETRIES;
use nightshift_core::backfill::instruction::{DONE, NO_INPUT, UNKNOWN, UNREADABLE};
use nightshift_core::ids::Partition;

use super::Question;
use crate::command::backfill::shown::Decision;
use crate::prose;

/// When a backfill does something about a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The next one does.
    Next,
    /// One after that which does this date.
    After(Partition),
    /// It is none of the dates that a backfill looks at by itself.
    Outside {
        /// Days of the window.
        days: u32,
    },
    /// There is nothing to do, or nothing that can be done.
    Never,
}

impl Turn {
    /// One word, for scripts.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::After(_) => "later",
            Self::Outside { .. } => "outside",
            Self::Never => "never",
        }
    }
}

/// What a backfill does about the date, and when.
pub(super) fn describe(question: &Question<'_>, decision: &Decision, turn: Turn) -> String {
    let generation = decision.generation.map(|n| format!("g{n}")).unwrap_or_default();
    let reason = prose::one_line(&decision.reason);
    let what = match (decision.action.as_str(), decision.state.as_str()) {
        ("run", _) => format!("runs it as {generation} ({reason})"),
        ("retry", _) => {
            format!("tries it again as {generation}, which takes over what is committed ({reason})")
        }
        ("join", _) => format!("goes on with {generation}: what is committed stays"),
        ("leave", _) => {
            return "Next: whoever works on it goes on; backfills leave it to them, and go on with it if they die".to_owned();
        }
        (_, DONE) => return "Next: backfills skip it".to_owned(),
        (_, NO_INPUT) => {
            return "Next: each backfill looks for it again, until the window has passed the date"
                .to_owned();
        }
        (_, UNREADABLE) => {
            return "Next: each backfill looks at it again, until the window has passed the date"
                .to_owned();
        }
        (_, UNKNOWN) => return "Next: a backfill starts nothing before somebody can".to_owned(),
        (_, "stale") => {
            return "Next: backfills leave what is there, since there is nothing to do it again with"
                .to_owned();
        }
        (_, "withheld") => {
            return "Next: nothing, until a person decides; backfills leave it alone".to_owned();
        }
        (_, "rejected") => {
            return format!("Next: nothing; only this runs it again: {}", forced(question));
        }
        _ => {
            return format!(
                "Next: nothing, since it ended so {} times; mend the cause, and then run: {}",
                RETRIES + 1,
                forced(question)
            );
        }
    };
    match turn {
        Turn::Next | Turn::Never => format!("Next: a backfill {what}"),
        Turn::After(first) => {
            format!("Next: a backfill does {first} first; when its turn comes, one {what}")
        }
        Turn::Outside { days } => {
            let backfill = question.command("backfill");
            format!(
                "Next: nothing by itself, since it is none of the {days} dates of spec.backfill.window; {backfill} {what}"
            )
        }
    }
}

fn forced(question: &Question<'_>) -> String {
    format!("{} --force --reason TEXT", question.command("backfill"))
}

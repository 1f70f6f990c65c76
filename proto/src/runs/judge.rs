//! `Judge`: what a person decides about a run that its gate withheld.

use jiff::Timestamp;
use nightshift_core::gates::{Approval, Judgement, REASON_MAX_CHARS};
use nightshift_core::ids::{InvalidId, RunId};
use thiserror::Error;

use super::{moment_in, moment_out};
use crate::field::{
    self, InvalidMoment, InvalidPart, InvalidText, UnknownValue, invalid_message, same_enum,
};
use crate::limits::{MESSAGE_MAX_CHARS, PATH_MAX_BYTES};
use crate::names::Requester;
use crate::wire;

/// A decision about a withheld run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeRun {
    /// The run.
    pub run: RunId,
    /// What is decided.
    pub judgement: Judgement,
    /// Why, for people: 1 to [`REASON_MAX_CHARS`] characters.
    pub reason: String,
    /// Who decides.
    pub requested_by: Requester,
}

/// The answer to a decision that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedRun {
    /// The run.
    pub run: RunId,
    /// The first decision: the same as was asked for.
    pub judged: Judged,
    /// Whether this call decided it.
    pub first: bool,
    /// Folder of the visible files; none if the output is not visible.
    pub output: Option<String>,
}

/// What a person decided, and stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What was decided.
    pub judgement: Judgement,
    /// Who decided, for people.
    pub decided_by: String,
    /// When, by the clock of whoever wrote it down.
    pub decided_at: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// A moment that must be there is not, or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidDecidedAt {
    /// It is not there.
    #[error("it is missing, but must be set")]
    Missing,
    /// It is outside of the calendar.
    #[error(transparent)]
    Moment(#[from] InvalidMoment),
}

same_enum!(Judgement = Judgement { Approved, Rejected });

invalid_message!(InvalidJudgeRun of "the judge request" {
    Run: InvalidId = "run",
    Judgement: UnknownValue = "judgement",
    Reason: InvalidText = "reason",
    RequestedBy: InvalidText = "requested_by",
});

invalid_message!(InvalidJudged of "the decision" {
    Judgement: UnknownValue = "judgement",
    DecidedBy: InvalidText = "decided_by",
    DecidedAt: InvalidDecidedAt = "decided_at",
    Reason: InvalidText = "reason",
});

invalid_message!(InvalidJudgedRun of "the judge response" {
    Run: InvalidId = "run",
    Judged: InvalidPart<InvalidJudged> = "judged",
    Output: InvalidText = "output",
});

// === impl JudgeRun ===

impl From<JudgeRun> for wire::JudgeRequest {
    fn from(judge: JudgeRun) -> Self {
        Self {
            run: judge.run.to_string(),
            judgement: wire::Judgement::from(judge.judgement).into(),
            reason: judge.reason,
            requested_by: judge.requested_by.to_string(),
        }
    }
}

impl TryFrom<wire::JudgeRequest> for JudgeRun {
    type Error = InvalidJudgeRun;

    fn try_from(wire: wire::JudgeRequest) -> Result<Self, InvalidJudgeRun> {
        use InvalidJudgeRun as Invalid;
        Ok(Self {
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            judgement: field::choice::<wire::Judgement, _>(wire.judgement)
                .map_err(|source| Invalid::Judgement { source })?,
            reason: reason(wire.reason).map_err(|source| Invalid::Reason { source })?,
            requested_by: wire
                .requested_by
                .parse()
                .map_err(|source| Invalid::RequestedBy { source })?,
        })
    }
}

/// Why, in at least one word: it is kept for ever.
fn reason(text: String) -> Result<String, InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().nth(REASON_MAX_CHARS).is_some() {
        return Err(InvalidText::TooManyChars { max_chars: REASON_MAX_CHARS });
    }
    Ok(text)
}

// === impl Judged ===

impl Judged {
    /// A stored approval, its texts as long as a message may be.
    pub fn of(approval: Approval) -> Self {
        let shown = |text: String| text.chars().take(MESSAGE_MAX_CHARS).collect();
        Self {
            judgement: approval.judgement,
            decided_by: shown(approval.decided_by),
            decided_at: approval.decided_at,
            reason: shown(approval.reason),
        }
    }
}

impl From<Judged> for wire::Judged {
    fn from(judged: Judged) -> Self {
        Self {
            judgement: wire::Judgement::from(judged.judgement).into(),
            decided_by: judged.decided_by,
            decided_at: Some(moment_out(judged.decided_at)),
            reason: judged.reason,
        }
    }
}

impl TryFrom<wire::Judged> for Judged {
    type Error = InvalidJudged;

    fn try_from(wire: wire::Judged) -> Result<Self, InvalidJudged> {
        use InvalidJudged as Invalid;
        let decided_at = moment_in(wire.decided_at)
            .map_err(InvalidDecidedAt::from)
            .and_then(|moment| moment.ok_or(InvalidDecidedAt::Missing));
        Ok(Self {
            judgement: field::choice::<wire::Judgement, _>(wire.judgement)
                .map_err(|source| Invalid::Judgement { source })?,
            decided_by: field::prose(wire.decided_by)
                .map_err(|source| Invalid::DecidedBy { source })?,
            decided_at: decided_at.map_err(|source| Invalid::DecidedAt { source })?,
            reason: field::prose(wire.reason).map_err(|source| Invalid::Reason { source })?,
        })
    }
}

// === impl JudgedRun ===

impl From<JudgedRun> for wire::JudgeResponse {
    fn from(judged: JudgedRun) -> Self {
        Self {
            run: judged.run.to_string(),
            judged: Some(judged.judged.into()),
            first: judged.first,
            output: judged.output.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::JudgeResponse> for JudgedRun {
    type Error = InvalidJudgedRun;

    fn try_from(wire: wire::JudgeResponse) -> Result<Self, InvalidJudgedRun> {
        use InvalidJudgedRun as Invalid;
        Ok(Self {
            run: wire.run.parse().map_err(|source| Invalid::Run { source })?,
            judged: field::part(wire.judged).map_err(|source| Invalid::Judged { source })?,
            first: wire.first,
            output: field::at_most(wire.output, 2 * PATH_MAX_BYTES)
                .map(|output| Some(output).filter(|output| !output.is_empty()))
                .map_err(|source| Invalid::Output { source })?,
        })
    }
}

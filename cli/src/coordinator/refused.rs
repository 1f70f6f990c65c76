//! From a status to a failure: what is worth another try, and the exit code of what is not.

use std::error::Error;
use std::time::Duration;

use nightshift_core::exit::Exit;
use nightshift_proto::limits::MESSAGE_MAX_CHARS;
use nightshift_worker::front::failure::Failure;
use thiserror::Error;
use tonic::{Code, Status};

use super::Address;
use crate::{prose, span};

/// Metadata of a status in which the coordinator names the exit code, as decimal text.
const EXIT_KEY: &str = "nightshift-exit";

/// What a call asks about, which decides what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// A spec: what is refused is in the spec.
    Spec,
    /// A run that the user named: what is refused is on the command line.
    Run,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Error)]
pub(crate) enum CallError {
    /// Nobody answered within the bound.
    #[error(
        "the coordinator at {address} has not answered for {}: {reason}; check the address and that nightshift-coordinator runs there",
        span::words(*waited)
    )]
    NoAnswer { address: Address, waited: Duration, reason: String },
    /// The coordinator answered that it cannot, again and again.
    #[error("the coordinator at {address} could not for {}: {reason}", span::words(*waited))]
    StillUnable { address: Address, waited: Duration, reason: String, exit: Exit },
    /// The coordinator refused.
    #[error("{message}")]
    Refused { code: Code, exit: Exit, message: String },
}

/// What to do about a status.
#[derive(Debug, Clone)]
pub(crate) enum Judged {
    /// Ask again: nobody answered.
    Unanswered { reason: String },
    /// Ask again: the coordinator says that it cannot just now.
    Unable { reason: String, exit: Exit },
    /// Asking again would change nothing.
    Refused(CallError),
}

impl Judged {
    /// Nothing came within the deadline of a call.
    pub(crate) fn no_answer_within(deadline: Duration) -> Self {
        Self::Unanswered { reason: format!("no answer within {}", span::words(deadline)) }
    }
}

impl CallError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoAnswer { .. } => Exit::Unavailable,
            Self::StillUnable { exit, .. } | Self::Refused { exit, .. } => *exit,
        }
    }

    /// What went wrong, without how long it has.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::NoAnswer { reason, .. } | Self::StillUnable { reason, .. } => reason,
            Self::Refused { message, .. } => message,
        }
    }

    /// Whether the coordinator does not know what was asked for.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { code: Code::NotFound, .. })
    }

    /// Whether the coordinator did answer, so that it may answer other questions too.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::new(error.exit(), error)
    }
}

/// Judges the status of a call to `address`.
pub(crate) fn judge(status: &Status, about: About, address: &Address) -> Judged {
    // A status that has a source was made on this side, out of an error of the transport.
    if let Some(source) = status.source() {
        return Judged::Unanswered { reason: innermost(source) };
    }
    let said = said(status);
    let told = told_exit(status);
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => {
            Judged::Unable { reason: said, exit: told.unwrap_or(Exit::Unavailable) }
        }
        Code::DeadlineExceeded | Code::Cancelled => Judged::Unanswered { reason: said },
        code => {
            let exit = told.unwrap_or_else(|| exit_of(code, about));
            let message = match code {
                Code::NotFound if about == About::Run => {
                    format!("{said}; `nightshift status --coordinator {address}` lists the runs")
                }
                Code::Unimplemented => format!(
                    "{address} answers, but not as a coordinator of this version ({said}); check the address and the versions"
                ),
                Code::Unknown | Code::Internal | Code::DataLoss | Code::OutOfRange => {
                    format!("the coordinator at {address} failed: {said}")
                }
                _ => said,
            };
            Judged::Refused(CallError::Refused { code, exit, message })
        }
    }
}

/// A reply that is not what the protocol allows.
pub(crate) fn invalid_reply(error: &(dyn Error + 'static), address: &Address) -> CallError {
    let status = nightshift_proto::refusal::invalid_reply(error);
    let message =
        format!("{address} sent a reply that nightshift.v1 does not allow: {}", said(&status));
    CallError::Refused { code: Code::Internal, exit: Exit::Software, message }
}

fn exit_of(code: Code, about: About) -> Exit {
    match code {
        Code::NotFound => Exit::NoInput,
        Code::InvalidArgument | Code::FailedPrecondition => match about {
            About::Spec => Exit::Config,
            About::Run => Exit::Usage,
        },
        Code::PermissionDenied | Code::Unauthenticated => Exit::Permission,
        Code::Unimplemented => Exit::Unavailable,
        _ => Exit::Software,
    }
}

/// The exit code that the coordinator names, if it is one of ours and a failure.
fn told_exit(status: &Status) -> Option<Exit> {
    let told: u8 = status.metadata().get(EXIT_KEY)?.to_str().ok()?.parse().ok()?;
    Exit::ALL.into_iter().find(|exit| exit.code() == told && *exit != Exit::Done)
}

/// The text of a status on one line and of bearable length.
fn said(status: &Status) -> String {
    let said = prose::cut(&prose::one_line(status.message()), MESSAGE_MAX_CHARS);
    if said.is_empty() { format!("{:?} without a word", status.code()) } else { said }
}

/// The last of a chain of reasons, which for a transport is the only one that says something.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    prose::cut(&prose::one_line(&error.to_string()), MESSAGE_MAX_CHARS)
}

#[cfg(test)]
mod tests;

//! Why a call is refused, and what its caller is told.

use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{InvalidId, Partition, RunId, ShardIndex, SpecName};
use nightshift_core::spec::SpecError;
use nightshift_storage::concluding::ConcludeError;
use nightshift_storage::error::StoreError;
use nightshift_storage::input::InputError;
use nightshift_storage::model::ModelError;
use nightshift_storage::opening::OpenError;
use nightshift_storage::planning::{NoSuchColumn, PlanError};
use nightshift_storage::releasing::JudgeError;
use thiserror::Error;
use tonic::{Code, Status};

use crate::desk;
use crate::roots::ServeError;

/// Metadata key of the exit code that a command ends with because of the refusal.
pub const EXIT_KEY: &str = "nightshift-exit";
/// Longest answer in bytes: statuses travel in HTTP/2 headers, which are small.
const ANSWER_MAX_BYTES: usize = 3_000;

/// Why a call is refused.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(Box<SpecError>),
    /// A place or version given instead of the spec's is wrong.
    #[error("{flag} `{text}`: {problem}")]
    Override {
        /// Which.
        flag: &'static str,
        /// What was given.
        text: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The spec has no such partition.
    #[error("{name} cannot run for {partition}: {remedy}")]
    Partition {
        /// The spec's name.
        name: SpecName,
        /// What was asked for.
        partition: Partition,
        /// What to do.
        remedy: &'static str,
    },
    /// The model cannot be found or named.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model is not the one that the spec pins.
    #[error(
        "the model at {uri} has the digest {found}, but spec.model.sha256 is {pinned}; restore that model, or change the pin"
    )]
    ModelPin {
        /// The model directory.
        uri: String,
        /// The digest in the spec.
        pinned: String,
        /// The digest of what is there.
        found: String,
    },
    /// The input is missing or damaged.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The spec carries a column over that the input does not have.
    #[error(transparent)]
    NoSuchColumn(#[from] NoSuchColumn),
    /// The rows cannot be cut as the spec says.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The output cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The verdict could not be completed.
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
    /// The desk is full.
    #[error(transparent)]
    Desk(#[from] desk::Refused),
    /// The run is not known.
    #[error("there is no run {run} here")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The run has no such shard.
    #[error("run {run} has no shard {shard}; its shards are 0 to {}", shards.saturating_sub(1))]
    UnknownShard {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
        /// Shards of the run.
        shards: u32,
    },
    /// Only a run that ended without all of its shards can be retried.
    #[error("run {run} is {state}; only a run that ended partial or failed is retried")]
    NotRetryable {
        /// The run.
        run: RunId,
        /// Its state.
        state: &'static str,
    },
    /// A decision about a withheld run cannot be made.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// There is nothing to decide about yet.
    #[error("run {run} is under way; decide about it when it has its verdict")]
    NotConcluded {
        /// The run.
        run: RunId,
    },
    /// A newer generation exists.
    #[error("run {run} has been followed by generation {newest} already; look at that one")]
    Superseded {
        /// The run.
        run: RunId,
        /// The newest generation.
        newest: String,
    },
    /// Too many calls of this kind are open.
    #[error("{max} calls of {what} are open, which is the limit; try again later")]
    TooMany {
        /// Which call.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The coordinator has just started and looks for its runs.
    #[error("the coordinator has just started and is recovering its runs; try again in a second")]
    Recovering,
    /// A part of this process ended without an answer.
    #[error("{what} ended without an answer; please report it")]
    Bug {
        /// Which part.
        what: &'static str,
    },
    /// An identifier could not be made.
    #[error("an identifier could not be made")]
    Id(#[from] InvalidId),
}

impl From<SpecError> for Refusal {
    fn from(error: SpecError) -> Self {
        Self::Spec(Box::new(error))
    }
}

impl Refusal {
    /// The exit code of a command that ends with this refusal.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Spec(_)
            | Self::ModelPin { .. }
            | Self::NoSuchColumn(_)
            | Self::Plan(_)
            | Self::Serve(ServeError::OtherOutput { .. }) => Exit::Config,
            Self::Override { .. } | Self::Partition { .. } | Self::NotRetryable { .. } => {
                Exit::Usage
            }
            Self::Model(error) => error.exit(),
            Self::Input(error) => error.exit(),
            Self::Store(error) | Self::Serve(ServeError::Store(error)) => error.exit(),
            Self::Open(error) => error.exit(),
            Self::Conclude(error) => error.exit(),
            Self::Judge(error) => error.exit(),
            Self::UnknownRun { .. } | Self::UnknownShard { .. } => Exit::NoInput,
            Self::Desk(_)
            | Self::TooMany { .. }
            | Self::NotConcluded { .. }
            | Self::Superseded { .. }
            | Self::Serve(ServeError::TooMany) => Exit::Temporary,
            Self::Recovering => Exit::Unavailable,
            Self::Bug { .. } | Self::Id(_) => Exit::Software,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Desk(_) | Self::TooMany { .. } | Self::Serve(ServeError::TooMany) => {
                Code::ResourceExhausted
            }
            Self::NotRetryable { .. }
            | Self::NotConcluded { .. }
            | Self::Judge(
                JudgeError::NotWithheld { .. }
                | JudgeError::Incomplete { .. }
                | JudgeError::DecidedOtherwise { .. },
            )
            | Self::Superseded { .. }
            | Self::Serve(ServeError::OtherOutput { .. }) => Code::FailedPrecondition,
            _ => match self.exit() {
                Exit::Usage | Exit::Config | Exit::Data => Code::InvalidArgument,
                Exit::NoInput => Code::NotFound,
                Exit::Permission => Code::PermissionDenied,
                Exit::Unavailable | Exit::Temporary => Code::Unavailable,
                Exit::Done | Exit::Found | Exit::Software | Exit::CannotCreate | Exit::Io => {
                    Code::Internal
                }
            },
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut text = describe(&refusal);
        text.truncate(text.floor_char_boundary(ANSWER_MAX_BYTES));
        let mut status = Self::new(refusal.code(), text);
        if let Ok(exit) = refusal.exit().code().to_string().parse() {
            status.metadata_mut().insert(EXIT_KEY, exit);
        }
        status
    }
}

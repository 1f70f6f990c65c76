//! Why a run could not be done, and the exit code that says it.

use nightshift_core::exit::Exit;
use nightshift_core::ids::{Digest, InvalidId, RunId, ShardIndex};
use nightshift_core::spec::SpecError;
use nightshift_core::window::UnknownZone;
use nightshift_storage::concluding::ConcludeError;
use nightshift_storage::error::StoreError;
use nightshift_storage::input::InputError;
use nightshift_storage::model::ModelError;
use nightshift_storage::opening::OpenError;
use nightshift_storage::planning::{NoSuchColumn, PlanError};
use thiserror::Error;

use crate::engine::{EngineError, ErrorClass, LoadError};
use crate::source::Failure;

/// Why a run could not be done.
#[derive(Debug, Error)]
pub enum RunError {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(Box<SpecError>),
    /// The model cannot be found or named.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model is not the one that the spec pins.
    #[error(
        "the model at {uri} has the digest {found}, but spec.model.sha256 is {pinned}; restore that model, or change the pin"
    )]
    ModelPin {
        /// The model directory.
        uri: String,
        /// The digest in the spec.
        pinned: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// The model was replaced while it was loaded.
    #[error(
        "{file} of the model at {uri} was replaced while it was read: its SHA-256 was {planned}, now it is {found}; run again when the model is in place"
    )]
    ModelReplaced {
        /// The model directory.
        uri: String,
        /// The file.
        file: String,
        /// Its SHA-256 when the model was named.
        planned: String,
        /// The SHA-256 of what was loaded.
        found: Digest,
    },
    /// The window of the spec is in a zone that is not known here.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// The run is cut into another number of shards.
    #[error(
        "run {run} is cut into {planned} shards, not {asked}; use --num-shards {planned}, or finish it first"
    )]
    OtherShardCount {
        /// The run.
        run: RunId,
        /// Shards in its plan.
        planned: u32,
        /// Shards asked for.
        asked: u32,
    },
    /// The input is missing or damaged.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The input does not have the model's columns.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The spec carries a column over that the input does not have.
    #[error(transparent)]
    NoSuchColumn(#[from] NoSuchColumn),
    /// A carried column has the name of one of the model's outputs.
    #[error(
        "the model writes a column `{column}`, which spec.input carries over too; remove it from id and keep"
    )]
    OutputColumnTaken {
        /// The column.
        column: String,
    },
    /// The rows cannot be cut as the spec says.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The output failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The verdict could not be made.
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
    /// A canary needs somebody who decides which shard comes first.
    #[error(
        "spec.gates.canary: processes with a fixed shard each have no order, so none can be the canary; remove it, use a coordinator, or run the date in one process"
    )]
    CanaryWithoutOrder,
    /// The shard is not one of the plan's.
    #[error("run {run} has no shard {shard}; its shards are 0 to {}", shards.saturating_sub(1))]
    NoSuchShard {
        /// The run.
        run: RunId,
        /// The shard asked for.
        shard: ShardIndex,
        /// Shards in the plan.
        shards: u32,
    },
    /// Somebody wanted the process to end before the first shard.
    #[error("drained before the first shard: run the same command again to continue")]
    Drained,
    /// The run stopped before its verdict, since no shard could succeed.
    #[error("run {run} stopped: {}", failure.message)]
    Stopped {
        /// The run.
        run: RunId,
        /// Why.
        failure: Failure,
    },
    /// An identifier could not be made.
    #[error("an identifier could not be made")]
    Id(#[from] InvalidId),
}

impl From<SpecError> for RunError {
    fn from(error: SpecError) -> Self {
        Self::Spec(Box::new(error))
    }
}

impl RunError {
    /// The run that it happened to, where the error names it.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::OtherShardCount { run, .. }
            | Self::NoSuchShard { run, .. }
            | Self::Stopped { run, .. } => Some(run),
            _ => None,
        }
    }

    /// The exit code of a process that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Spec(_)
            | Self::ModelPin { .. }
            | Self::NoSuchColumn(_)
            | Self::Zone(_)
            | Self::OutputColumnTaken { .. }
            | Self::CanaryWithoutOrder
            | Self::Plan(_) => Exit::Config,
            Self::Model(error) => error.exit(),
            Self::Load(error) => engine_exit(error.class()),
            Self::Engine(error) => engine_exit(error.class()),
            Self::Input(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Open(error) => error.exit(),
            Self::Conclude(error) => error.exit(),
            Self::ModelReplaced { .. } | Self::Drained => Exit::Temporary,
            Self::NoSuchShard { .. } | Self::OtherShardCount { .. } => Exit::Usage,
            Self::Stopped { failure, .. } => failure.exit,
            Self::Id(_) => Exit::Software,
        }
    }
}

/// The exit code of a process that an engine's error ends.
pub(crate) fn engine_exit(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Configuration => Exit::Config,
        ErrorClass::Io | ErrorClass::Memory => Exit::Io,
        ErrorClass::Passing => Exit::Temporary,
        ErrorClass::Bug => Exit::Software,
    }
}

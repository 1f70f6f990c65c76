//! How an attempt fails: with a class that says what happens to its shard.

use std::any::Any;

use arrow::error::ArrowError;
use nightshift_core::exit::Exit;
use nightshift_core::ids::ShardIndex;
use nightshift_core::record::FailureClass;
use nightshift_storage::error::StoreError;
use thiserror::Error;

use crate::engine::{EngineError, ErrorClass as EngineErrorClass};
use crate::read::{ErrorClass as ReadErrorClass, ReadError};
use crate::score::InferError;
use crate::source::{Failure, Scope};
use crate::write::WriteError;

/// Why an attempt ended without staged files.
#[derive(Debug, Error)]
pub enum ShardError {
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The model cannot take them.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The results cannot be encoded or written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The staged file cannot be made.
    #[error(transparent)]
    Stage(#[from] StoreError),
    /// The carried columns and the results do not make a table.
    #[error("the output columns do not fit together")]
    Columns(#[from] ArrowError),
    /// More rows were rejected than the budget allows.
    #[error(
        "{rejected} of {rows} rows were rejected, {allowed} are allowed by spec.retries.rejects; mend the rows or raise the budget; for example: {examples}"
    )]
    OverBudget {
        /// Rows rejected.
        rejected: u64,
        /// Rows of the shard.
        rows: u64,
        /// Rows that may be rejected.
        allowed: u64,
        /// The first few rejects.
        examples: String,
    },
    /// A library panicked.
    #[error("a library panicked on this shard ({message}); please report it")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The plan has no such shard, or a shard without rows.
    #[error("the plan has no rows for shard {shard}")]
    NoSuchShard {
        /// The shard.
        shard: ShardIndex,
    },
    /// The attempt was told to stop: the process ends, or the lease is no longer its own.
    #[error("the attempt was told to stop before its end")]
    GivenUp,
}

impl From<InferError> for ShardError {
    fn from(error: InferError) -> Self {
        match error {
            InferError::Engine(error) => Self::Engine(error),
            InferError::Join(error) => Self::Columns(error),
        }
    }
}

impl ShardError {
    /// The error for a panic that was caught.
    pub(super) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = text.unwrap_or("no message").chars().take(200).collect();
        Self::Panicked { message }
    }

    /// What the failure means for the shard and for the process.
    pub fn failure(&self) -> Failure {
        use FailureClass as Class;
        use Scope::{Everywhere, Host};
        let (class, reason, exit, scope) = match self {
            Self::Stage(error) => return Failure::from_store(error),
            Self::Read(error) => match error.class() {
                ReadErrorClass::Data => (Class::Data, "unreadable", Exit::Data, Everywhere),
                ReadErrorClass::Changed => (Class::Data, "input_changed", Exit::Data, Everywhere),
                ReadErrorClass::Missing => (Class::Data, "input_missing", Exit::Data, Host),
                ReadErrorClass::Denied => (Class::Config, "read_denied", Exit::Permission, Host),
                ReadErrorClass::Transient => (Class::Transient, "read", Exit::Io, Host),
            },
            Self::Engine(error) => match error.class() {
                EngineErrorClass::Configuration => {
                    (Class::Config, "engine", Exit::Config, Everywhere)
                }
                EngineErrorClass::Io => (Class::Transient, "engine", Exit::Io, Host),
                EngineErrorClass::Memory => (Class::Transient, "out_of_memory", Exit::Io, Host),
                EngineErrorClass::Passing => return Self::GivenUp.failure(),
                EngineErrorClass::Bug => (Class::Data, "engine", Exit::Software, Everywhere),
            },
            // A volume that is full or read-only is as full for every other shard.
            Self::Write(WriteError::Io { source }) => match source.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::FileTooLarge
                | std::io::ErrorKind::ReadOnlyFilesystem => {
                    (Class::Config, "no_space", Exit::Io, Host)
                }
                // A bucket refuses while a large file is written.
                std::io::ErrorKind::PermissionDenied => {
                    (Class::Config, "store", Exit::Permission, Host)
                }
                _ => (Class::Transient, "write", Exit::Io, Host),
            },
            Self::Write(_) | Self::Columns(_) => (Class::Config, "write", Exit::Config, Everywhere),
            Self::OverBudget { .. } => (Class::Data, "rejects_over_budget", Exit::Data, Everywhere),
            Self::Panicked { .. } => (Class::Lost, "panicked", Exit::Software, Everywhere),
            Self::NoSuchShard { .. } => (Class::Config, "no_such_shard", Exit::Config, Everywhere),
            Self::GivenUp => (Class::Preempted, "given_up", Exit::Temporary, Host),
        };
        let message = crate::describe(self);
        Failure { class, reason: reason.to_owned(), message, exit, scope }
    }
}

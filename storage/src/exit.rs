//! The exit code of a process that an error of this crate ends.

use std::io::ErrorKind;

use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_telemetry::Failure;

use crate::concluding::ConcludeError;
use crate::error::{Class, StoreError};
use crate::input::InputError;
use crate::model::ModelError;
use crate::opening::OpenError;
use crate::releasing::JudgeError;

impl StoreError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match (self, self.class()) {
            (_, Class::Permission) => Exit::Permission,
            (Self::NoSpace { .. }, _) => Exit::Io,
            (Self::NotADirectory { .. }, _) => Exit::CannotCreate,
            (_, Class::Io) => Exit::Io,
            (_, Class::Unavailable) => Exit::Unavailable,
            (_, Class::Invalid) => Exit::Config,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.exit(), describe(&error))
    }
}

impl ModelError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match (self, self.class()) {
            (Self::Changing { .. }, _) => Exit::Temporary,
            (_, Class::Permission) => Exit::Permission,
            (_, Class::Io) => Exit::Io,
            (_, Class::Unavailable) => Exit::Unavailable,
            (_, Class::Invalid) => Exit::Config,
        }
    }
}

impl InputError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::NoInput,
            Self::Pattern { .. }
            | Self::TooManyFiles { .. }
            | Self::UnknownFormat { .. }
            | Self::MixedFormats { .. }
            | Self::NotAFile { .. }
            | Self::MissingColumn { .. } => Exit::Config,
            Self::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Self::Io { .. } => Exit::Io,
            _ => Exit::Data,
        }
    }
}

impl OpenError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            Self::Contended { .. } => Exit::Temporary,
        }
    }
}

impl ConcludeError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            _ => Exit::Io,
        }
    }
}

impl JudgeError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoVerdict { .. } => Exit::NoInput,
            Self::NotWithheld { .. } => Exit::Usage,
            Self::Incomplete { .. } | Self::DecidedOtherwise { .. } => Exit::Data,
            Self::Store(error) => error.exit(),
            Self::Conclude(error) => error.exit(),
        }
    }
}

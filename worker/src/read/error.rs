//! Why a slice cannot be read, and what to do about it.

use std::io;

use arrow::error::ArrowError;
use nightshift_core::place::BucketKind;
use nightshift_core::plan::Pin;
use nightshift_storage::input::{InputError, describe};
use thiserror::Error;

/// What a failure says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The bytes are at fault: every try fails alike.
    Data,
    /// The device or the machine is at fault: another try may succeed.
    Transient,
    /// The file is not the planned one: the plan is void for it.
    Changed,
    /// There is no file. It may be gone, or this host may not see it.
    Missing,
    /// A store refuses: no other try helps before somebody grants the right.
    Denied,
}

/// Why a slice cannot be read. A row that cannot be read is no error, but a reject.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file is not the version that was planned.
    #[error(
        "{uri} has changed since it was planned: planned as {planned}, found as {found}; plan the date again"
    )]
    Changed {
        /// The file.
        uri: String,
        /// The version in the plan.
        planned: String,
        /// What is there.
        found: String,
    },
    /// There is no such file.
    #[error(
        "{uri} does not exist here; it was planned as {planned}: restore it, or let this host see it, or plan the date again"
    )]
    Missing {
        /// The file.
        uri: String,
        /// The version in the plan.
        planned: String,
    },
    /// The device failed.
    #[error("cannot read {uri}")]
    Io {
        /// The file.
        uri: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be opened as what it is planned as.
    #[error("cannot open {uri} as it was planned")]
    Open {
        /// The file.
        uri: String,
        /// What is wrong with it.
        #[source]
        source: Box<InputError>,
    },
    /// The bytes around or after a row are damaged.
    #[error("{uri} is damaged at or after row {row}; write the file again")]
    Corrupt {
        /// The file.
        uri: String,
        /// The first row that could not be read, from 0.
        row: u64,
        /// What the decoder said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A decoder gave up in a way that it never should.
    #[error("{uri} makes the decoder fail at or after row {row} ({message}); write the file again")]
    Panicked {
        /// The file.
        uri: String,
        /// The first row that could not be read, from 0.
        row: u64,
        /// The panic's message.
        message: String,
    },
    /// The file lacks a column.
    #[error(
        "{uri} has no column `{column}`; plan the date again, which names the columns there are"
    )]
    MissingColumn {
        /// The file.
        uri: String,
        /// The column.
        column: String,
    },
    /// A column cannot have the type that the run needs.
    #[error(
        "column `{column}` of {uri} is {found} and cannot be read as {wanted}; change its type in the file"
    )]
    WrongType {
        /// The file.
        uri: String,
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
        /// The type that is needed.
        wanted: String,
    },
    /// The slice reaches beyond the rows that the plan gives the file.
    #[error(
        "{rows} rows from row {start} on are beyond the {file_rows} rows planned for {uri}; plan the date again"
    )]
    OutOfRange {
        /// The file.
        uri: String,
        /// First row of the slice.
        start: u64,
        /// Rows of the slice.
        rows: u64,
        /// Rows of the file in the plan.
        file_rows: u64,
    },
    /// Arrow refused to build a batch.
    #[error("cannot build a batch of rows of {uri}")]
    Batch {
        /// The file.
        uri: String,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
}

impl ReadError {
    /// What the failure says about trying again.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Changed { .. } => ErrorClass::Changed,
            Self::Missing { .. } => ErrorClass::Missing,
            Self::Io { uri, source }
                if BucketKind::of(uri).is_some()
                    && source.kind() == io::ErrorKind::PermissionDenied =>
            {
                ErrorClass::Denied
            }
            Self::Io { .. } => ErrorClass::Transient,
            Self::Open { .. }
            | Self::Corrupt { .. }
            | Self::Panicked { .. }
            | Self::MissingColumn { .. }
            | Self::WrongType { .. }
            | Self::OutOfRange { .. }
            | Self::Batch { .. } => ErrorClass::Data,
        }
    }

    /// A failure to open `uri`, planned as `planned`.
    pub(super) fn from_input(uri: &str, planned: &Pin, error: InputError) -> Self {
        let uri = uri.to_owned();
        match error {
            InputError::Changed { planned, found, .. } => Self::Changed { uri, planned, found },
            InputError::Missing { .. } => Self::Missing { uri, planned: describe(planned) },
            InputError::Io { source, .. } => Self::Io { uri, source },
            other => Self::Open { uri, source: Box::new(other) },
        }
    }
}

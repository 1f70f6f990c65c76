//! What can go wrong with an output root, and what the process should say about it.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use nightshift_core::ids::{RunId, ShardIndex, SpecName};
use nightshift_core::place::{BucketKind, InvalidPlace};
use nightshift_core::settle::Denial;
use thiserror::Error;

/// What kind of failure an error is, for the exit code and for whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller lacks a right (exit 77).
    Permission,
    /// Output or I/O: no space, a failed read or write (exit 73 or 74).
    Io,
    /// The store did not answer within the bounds; trying later may help (exit 69).
    Unavailable,
    /// The settings or the stored data are wrong; trying again cannot help (exit 78).
    Invalid,
}

/// Why an operation on an output root failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The URI names a store that this build cannot use.
    #[error(
        "`{uri}`: `{scheme}://` is not supported by this build; use a path or a file:// URI on a volume"
    )]
    UnsupportedScheme {
        /// The URI as given.
        uri: String,
        /// Its scheme.
        scheme: String,
    },
    /// The URI is not one.
    #[error("`{uri}` is not a usable location: {reason}")]
    InvalidUri {
        /// The URI as given.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The location is none, or holds what it must not. It is not repeated.
    #[error("the location cannot be used: {source}; {}", .source.remedy())]
    Place {
        /// Why.
        source: InvalidPlace,
    },
    /// The settings of an object store do not fit together. Their values are not repeated.
    #[error("{place}: the settings of the store cannot be used: {problem}")]
    Settings {
        /// Which variable, or which bucket they are for.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no such bucket.
    #[error(
        "there is no {} for {place}; make it, or correct the name, or one of {}",
        kind_of_place(place).bucket(),
        kind_of_place(place).whereabouts()
    )]
    NoBucket {
        /// The place in it.
        place: String,
    },
    /// The output root is wanted for reading, and is not there.
    #[error("there is no output at {path}; check the path, or run the spec first")]
    Missing {
        /// The directory.
        path: String,
    },
    /// The output root, or a directory on the way, is a file.
    #[error("{path} is not a directory; choose another output or move the file away")]
    NotADirectory {
        /// The path that is a file.
        path: String,
    },
    /// The volume is read-only.
    #[error("cannot {what} {path}: the volume is read-only; choose an output that can be written")]
    ReadOnly {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// The volume or the quota is full.
    #[error("cannot {what} {path}: no space left; free some space or raise the quota")]
    NoSpace {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// The caller lacks a right.
    #[error("cannot {what} {path}: permission denied; give this user the right to write there")]
    Permission {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// Any other failed operation.
    #[error("cannot {what} {path}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// The system's or the store's words.
        #[source]
        source: Cause,
    },
    /// The store does not keep the promises that exactly-once rests on.
    #[error(
        "{uri} cannot be used as an output: {check}: {found}; {}", .remedy
    )]
    ProbeFailed {
        /// The output root.
        uri: String,
        /// The check that failed.
        check: &'static str,
        /// What happened instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Another process decides in this root.
    #[error(
        "{place} is held by {who}, since {since}: with --commit-mode=coordinator one process writes there; leave the work to that one, or end it first"
    )]
    Held {
        /// The output root.
        place: String,
        /// The process.
        who: String,
        /// Since when, by its clock.
        since: String,
    },
    /// It stayed unknown whether the object was created. Nothing was deleted: it may still appear.
    #[error("after {creates} tries it is unknown whether {path} was created; try again later")]
    Unsettled {
        /// The object.
        path: String,
        /// How many creates were sent.
        creates: u32,
        /// The last failure.
        #[source]
        source: Cause,
    },
    /// A document has more bytes than its kind may have.
    #[error("{path}: a {kind} of {size_bytes} bytes is beyond the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The object.
        path: String,
        /// The kind of document.
        kind: &'static str,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A stored document cannot be read.
    #[error("{path} is not a valid {kind}; it was damaged, or written by something else")]
    Malformed {
        /// The object.
        path: String,
        /// The kind of document.
        kind: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A stored document is of another version.
    #[error(
        "{path} is a {kind} of version {found}, this build knows version {known}; use the build that wrote it or a newer one"
    )]
    UnknownVersion {
        /// The object.
        path: String,
        /// The kind of document.
        kind: &'static str,
        /// Its version.
        found: u64,
        /// The version that this build reads and writes.
        known: u32,
    },
    /// Another spec writes to this root.
    #[error(
        "{root} holds the output of spec `{found}`, not of `{wanted}`; give each spec an output of its own"
    )]
    ForeignRoot {
        /// The output root.
        root: String,
        /// The spec that owns it.
        found: SpecName,
        /// The spec that wants it.
        wanted: SpecName,
    },
    /// The name of an attempt was used before.
    #[error("{path} exists: an attempt id is used once; take a new one")]
    AttemptReused {
        /// The attempt's directory.
        path: String,
    },
    /// The staged objects given together do not belong together.
    #[error("cannot seal: {reason}")]
    InvalidSeal {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A staged file does not have the bytes that were written to it.
    #[error("{path} has {found_bytes} bytes instead of {wanted_bytes}; the volume lost data")]
    StagedDamaged {
        /// The staged file.
        path: String,
        /// Its size now.
        found_bytes: u64,
        /// Its size as written.
        wanted_bytes: u64,
    },
    /// A staged file that a record names is gone, and the visible file is not there either.
    #[error(
        "{path} is gone and {visible} does not exist; restore it or run the shard in a new generation"
    )]
    StagedMissing {
        /// The staged file.
        path: String,
        /// The visible file that was to be made from it.
        visible: String,
    },
    /// A visible file exists with other content than the record names.
    #[error(
        "{visible} exists with other content than the committed {staged}; move it away and try again"
    )]
    VisibleDiffers {
        /// The visible file.
        visible: String,
        /// The staged file that the record names.
        staged: String,
    },
    /// The permit is not for this file.
    #[error("the permit of shard {shard} of {run} does not allow {staged} to become {visible}")]
    NotPermitted {
        /// The permit's run.
        run: RunId,
        /// The permit's shard.
        shard: ShardIndex,
        /// The staged object.
        staged: String,
        /// The visible object.
        visible: String,
    },
}

fn kind_of_place(place: &str) -> BucketKind {
    BucketKind::of(place).unwrap_or(BucketKind::S3)
}

/// The underlying failure of a store operation.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

impl StoreError {
    /// What kind of failure this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Permission { .. } | Self::ReadOnly { .. } => Class::Permission,
            Self::NoSpace { .. }
            | Self::Failed { .. }
            | Self::StagedDamaged { .. }
            | Self::StagedMissing { .. } => Class::Io,
            Self::Unsettled { .. } | Self::Held { .. } => Class::Unavailable,
            Self::UnsupportedScheme { .. }
            | Self::InvalidUri { .. }
            | Self::Place { .. }
            | Self::Settings { .. }
            | Self::NoBucket { .. }
            | Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::ProbeFailed { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::UnknownVersion { .. }
            | Self::ForeignRoot { .. }
            | Self::AttemptReused { .. }
            | Self::InvalidSeal { .. }
            | Self::VisibleDiffers { .. }
            | Self::NotPermitted { .. } => Class::Invalid,
        }
    }

    /// The error for a failed system call: `what` was tried at `path`.
    pub(crate) fn from_io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::from_cause(what, path.display().to_string(), Box::new(source))
    }

    /// The error for a failed store operation: `what` was tried at `path`.
    pub(crate) fn from_store(
        what: &'static str,
        path: impl ToString,
        source: object_store::Error,
    ) -> Self {
        Self::from_cause(what, path.to_string(), Box::new(source))
    }

    pub(crate) fn from_cause(what: &'static str, path: String, source: Cause) -> Self {
        match denial_of(source.as_ref()) {
            Some(Denial::ReadOnly) => Self::ReadOnly { what, path, source },
            Some(Denial::NoSpace) => Self::NoSpace { what, path, source },
            Some(Denial::Forbidden | Denial::Unauthenticated) => {
                Self::Permission { what, path, source }
            }
            Some(Denial::Unsupported) | None
                if kind_of(source.as_ref()) == Some(io::ErrorKind::NotADirectory) =>
            {
                Self::NotADirectory { path }
            }
            Some(Denial::Unsupported) | None => Self::Failed { what, path, source },
        }
    }
}

/// The system error behind an error, if there is one.
pub(crate) fn kind_of(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// Whether an error says that the operation cannot happen, now or on repetition.
pub(crate) fn denial_of(error: &(dyn StdError + 'static)) -> Option<Denial> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<object_store::Error>() {
            Some(object_store::Error::PermissionDenied { .. }) => return Some(Denial::Forbidden),
            Some(object_store::Error::Unauthenticated { .. }) => {
                return Some(Denial::Unauthenticated);
            }
            Some(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. }
                | object_store::Error::InvalidPath { .. }
                | object_store::Error::UnknownConfigurationKey { .. },
            ) => return Some(Denial::Unsupported),
            _ => {}
        }
        next = error.source();
    }
    match kind_of(error)? {
        io::ErrorKind::PermissionDenied => Some(Denial::Forbidden),
        io::ErrorKind::ReadOnlyFilesystem => Some(Denial::ReadOnly),
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        // A limit on the size of files is as lasting as a full volume.
        | io::ErrorKind::FileTooLarge => Some(Denial::NoSpace),
        _ => None,
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

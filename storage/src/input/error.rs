//! What can be wrong with input while a run is planned.

use std::io;

use nightshift_core::plan::{InputFormat, Pin};
use parquet::errors::ParquetError;
use thiserror::Error;

use super::scan::RECORD_BYTES_MAX;

/// Why input cannot be planned.
#[derive(Debug, Error)]
pub enum InputError {
    /// The pattern matches nothing.
    #[error("no input at {pattern}: {nearby}")]
    Missing {
        /// The path or pattern that was asked for.
        pattern: String,
        /// What there is instead, and what to do.
        nearby: String,
    },
    /// The pattern cannot be understood.
    #[error("{pattern} is not an input pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it and what to write.
        reason: String,
    },
    /// More files than one run may have.
    #[error("{pattern} has more than {max} files; use a narrower pattern")]
    TooManyFiles {
        /// The pattern.
        pattern: String,
        /// The limit.
        max: usize,
    },
    /// The name says nothing about the content.
    #[error("cannot tell the format of {uri} from its name; {remedy}")]
    UnknownFormat {
        /// The file.
        uri: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Files of different formats in one input.
    #[error(
        "{first} is {first_format:?} but {second} is {second_format:?}: one input has one format; narrow the pattern, for example with *.parquet"
    )]
    MixedFormats {
        /// A file of one format.
        first: String,
        /// Its format.
        first_format: InputFormat,
        /// A file of another format.
        second: String,
        /// Its format.
        second_format: InputFormat,
    },
    /// A directory, pipe or device where a file is needed.
    #[error("{uri} is not a regular file; give a file, a directory of files or a glob")]
    NotAFile {
        /// The path.
        uri: String,
    },
    /// The device or the permissions.
    #[error("cannot read {uri}")]
    Io {
        /// The file.
        uri: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// No bytes where a format needs some.
    #[error("{uri} is empty: {needs}; remove the file or write it again")]
    Empty {
        /// The file.
        uri: String,
        /// What the format needs at least.
        needs: &'static str,
    },
    /// Not a Parquet file, or one cut short.
    #[error("{uri} is not a complete Parquet file: {reason}; write it again")]
    NotParquet {
        /// The file.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// The Parquet footer cannot be read.
    #[error("the footer of {uri} cannot be read; write the file again")]
    Footer {
        /// The file.
        uri: String,
        /// What the decoder said.
        #[source]
        source: Box<ParquetError>,
    },
    /// The compressed bytes are damaged.
    #[error("{uri} cannot be decompressed after row {row}; write the file again")]
    Compressed {
        /// The file.
        uri: String,
        /// Rows that could be read before the damage.
        row: u64,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// The first line of a CSV file cannot name columns.
    #[error("the header of {uri} {reason}")]
    Header {
        /// The file.
        uri: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A column that the run needs is not there.
    #[error(
        "{uri} has no column `{column}`, which the spec or the model asks for; add or rename it; the columns are {present}"
    )]
    MissingColumn {
        /// The file.
        uri: String,
        /// The column.
        column: String,
        /// The columns there are, the first ones if there are many.
        present: String,
    },
    /// Two files disagree about the type of a column.
    #[error(
        "column `{column}` is {first_type} in {first} but {second_type} in {second}: write both with one type, or plan them as two inputs"
    )]
    TypeConflict {
        /// The column.
        column: String,
        /// One file.
        first: String,
        /// The type there.
        first_type: String,
        /// Another file.
        second: String,
        /// The type there.
        second_type: String,
    },
    /// The file is not the version that was planned.
    #[error(
        "{uri} has changed: planned as {planned}, found as {found}; plan the date again so that every shard reads one version"
    )]
    Changed {
        /// The file.
        uri: String,
        /// The version in the plan.
        planned: String,
        /// The version that is there.
        found: String,
    },
}

impl InputError {
    /// An I/O failure at `uri`; a file that is not there is missing rather than broken.
    pub(super) fn from_io(uri: &str, source: io::Error) -> Self {
        let uri = uri.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => {
                Self::Missing { nearby: super::discover::nearby(&uri), pattern: uri }
            }
            _ => Self::Io { uri, source },
        }
    }

    pub(super) fn changed(uri: &str, planned: &Pin, found: &Pin) -> Self {
        Self::Changed { uri: uri.to_owned(), planned: describe(planned), found: describe(found) }
    }

    pub(super) fn long_header(uri: &str) -> Self {
        let reason = format!("is longer than {RECORD_BYTES_MAX} bytes; is this a CSV file?");
        Self::Header { uri: uri.to_owned(), reason }
    }
}

/// A version as messages show it.
pub fn describe(pin: &Pin) -> String {
    format!("{} bytes, {}", pin.size_bytes, pin.version)
}

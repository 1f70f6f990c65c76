//! Why others could not be told of a run.

use std::path::PathBuf;

use nightshift_core::plan::SecretName;
use nightshift_core::report::webhook::InvalidSecret;
use nightshift_storage::error::StoreError;
use thiserror::Error;

/// Why others could not be told of a run. No text holds more of an address than its host.
#[derive(Debug, Error)]
pub enum NotTold {
    /// The output root failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output root has no identity, by which others tell its runs from those of another.
    #[error("the output has no root.json; run the spec again, which makes it")]
    NoIdentity,
    /// A file could not be written.
    #[error("{} cannot be written; see that the folder can be written to", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The place of a file is no path here.
    #[error("the place for reports cannot be used")]
    Place(#[source] StoreError),
    /// What is to be told cannot be written as JSON.
    #[error("the report cannot be written down")]
    Json(#[from] serde_json::Error),
    /// The secret is not there.
    #[error(
        "the environment variable {name} is not set, so the message cannot be signed; set it where the run is concluded"
    )]
    NoSecret {
        /// The variable.
        name: SecretName,
    },
    /// The secret is no good.
    #[error("the secret in the environment variable {name} cannot be used")]
    Secret {
        /// The variable.
        name: SecretName,
        /// Why.
        source: InvalidSecret,
    },
    /// This process has no TLS.
    #[error("this process cannot make connections: {reason}")]
    Client {
        /// Why.
        reason: String,
    },
    /// The service said no, and will say no again.
    #[error("{host} answered {status}; see what it expects there")]
    Refused {
        /// Scheme, host and port.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The service wants the message elsewhere, which is where nobody said it may go.
    #[error("{host} answered {status} and names another place; write that place into the spec")]
    Redirected {
        /// Scheme, host and port.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The service did not take the message, however often it was sent.
    #[error("{host} could not be told in {tries} tries: {last}")]
    Away {
        /// Scheme, host and port.
        host: String,
        /// How often it was tried.
        tries: u32,
        /// What happened the last time.
        last: String,
    },
    /// A task ended before its time.
    #[error("the work was interrupted")]
    Interrupted,
}

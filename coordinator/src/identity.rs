//! Who this process is, for people who read claims, epochs and records.

use std::fmt;

use nightshift_core::ids::{AttemptId, InvalidId};

/// Host and process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    host: String,
    process: u32,
}

impl Identity {
    /// The identity of this process.
    pub fn of_this_process() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { host, process: std::process::id() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coordinator {}:{}", self.host, self.process)
    }
}

/// A fresh random id, in the form of an attempt.
///
/// # Errors
/// Never in practice: a ULID has that form.
pub fn fresh_id() -> Result<AttemptId, InvalidId> {
    ulid::Ulid::generate().to_string().parse()
}

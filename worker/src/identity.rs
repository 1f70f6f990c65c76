//! Who this process is, for people who read records; and its wall clock.

use std::fmt;

use jiff::Timestamp;
use nightshift_core::ids::AttemptId;

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

    /// Now, by this process's wall clock; used for people to read, never to decide.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.process)
    }
}

/// A fresh attempt id.
///
/// # Errors
/// Never in practice: a ULID has the form of an attempt id.
pub fn new_attempt() -> Result<AttemptId, nightshift_core::ids::InvalidId> {
    ulid::Ulid::generate().to_string().parse()
}

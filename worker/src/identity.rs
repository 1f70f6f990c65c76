//! Who this process is, for people who read records; and its wall clock.

use std::fmt;

use jiff::Timestamp;
use nightshift_core::ids::AttemptId;
use nightshift_proto::field::InvalidText;
use nightshift_proto::names::WorkerName;

/// Longest part of a worker's name that is the host's: a DNS label.
const HOST_MAX_CHARS: usize = 63;

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

    /// What this worker calls itself to a coordinator: host, process and a random part, so that a
    /// process that gets the number of one before it is another worker.
    ///
    /// # Errors
    /// Never in practice: what is made has the form of such a name.
    pub fn worker_name(&self) -> Result<WorkerName, InvalidText> {
        let visible = |c: char| if c.is_ascii_graphic() { c } else { '-' };
        let host: String = self.host.chars().map(visible).take(HOST_MAX_CHARS).collect();
        format!("{host}:{}:{}", self.process, ulid::Ulid::generate()).parse()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_makes_a_worker_name() {
        for host in ["", "a host", "ホスト", &"h".repeat(500)] {
            let who = Identity { host: host.to_owned(), process: u32::MAX };
            let name = who.worker_name().unwrap();
            assert_ne!(name, who.worker_name().unwrap(), "two lives of a process differ");
        }
    }
}

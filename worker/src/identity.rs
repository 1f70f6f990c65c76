//! Who this process is, for people who read records; and its wall clock.

use std::fmt;

use jiff::Timestamp;
use nightshift_core::ids::AttemptId;
use nightshift_proto::field::InvalidText;
use nightshift_proto::names::WorkerName;

/// Variable with the name of the pod, or of the place that a coordinator has given to a process
/// that it started. By it the coordinator knows whose leases are free when that ends.
const POD_NAME: &str = "POD_NAME";
/// Longest part of a worker's name that is the host's: a DNS label, as the name of a pod is.
const HOST_MAX_CHARS: usize = 63;

/// Host and process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    host: String,
    process: u32,
}

impl Identity {
    /// The identity of this process: its pod where it has one, its host otherwise.
    pub fn of_this_process() -> Self {
        Self::on(std::env::var(POD_NAME).ok().as_deref())
    }

    fn on(pod: Option<&str>) -> Self {
        let host = match pod {
            // A coordinator takes what comes before the first colon for the pod.
            Some(pod) if !pod.is_empty() => pod.replace(':', "-"),
            _ => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
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
    fn a_worker_is_named_after_its_pod() {
        let name = Identity::on(Some("flights-2013-01-01-g1-0-abcde")).worker_name().unwrap();
        assert!(name.as_str().starts_with("flights-2013-01-01-g1-0-abcde:"), "{name}");
        let longest = "a".repeat(HOST_MAX_CHARS);
        let name = Identity::on(Some(&longest)).worker_name().unwrap();
        assert!(name.as_str().starts_with(&format!("{longest}:")), "a pod's name is never cut");
        assert_eq!(Identity::on(Some("")), Identity::on(None));
    }

    #[test]
    fn any_host_makes_a_worker_name() {
        for host in ["", "a host", "ホスト", &"h".repeat(500)] {
            let who = Identity { host: host.to_owned(), process: u32::MAX };
            let name = who.worker_name().unwrap();
            assert_ne!(name, who.worker_name().unwrap(), "two lives of a process differ");
        }
    }
}

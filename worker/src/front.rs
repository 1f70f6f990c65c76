//! What the two command lines share: flags, dates, checked settings, failures, exit codes.

pub mod address;
pub mod args;
pub mod dates;
pub mod failure;
pub mod memory;
pub mod rehearsal;
pub mod tls;
pub mod workspace;

use tokio::runtime::Runtime;

use failure::Failure;
use nightshift_core::exit::Exit;

/// Threads of the runtime: it carries waiting, not computing.
const RUNTIME_THREADS: usize = 2;

/// The runtime behind storage and commits.
///
/// # Errors
/// If the system gives no threads.
pub fn runtime() -> Result<Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("nightshift-io")
        .enable_all()
        .build();
    built.map_err(|error| Failure::new(Exit::Io, format_args!("no threads to work with: {error}")))
}

/// Cores that this process may use, the cgroup's limit included.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

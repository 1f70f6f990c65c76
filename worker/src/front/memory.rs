//! Flags about the memory that a process may use.

use std::net::SocketAddr;

use clap::Args;
use nightshift_core::exit::Exit;

use super::failure::Failure;
use crate::memory::beside::Beside;
use crate::memory::{Bound, Guard, bounds};

/// What limits memory beside the limits that the process finds by itself.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Bytes of memory that this process may use: batches become smaller before it uses more.
    /// Limits of its control group and of its address space are found without it; 0 is none
    #[arg(long, env = "NIGHTSHIFT_MEMORY_LIMIT", value_name = "BYTES", value_parser = bytes)]
    pub memory_limit: Option<u64>,

    /// Where the sidecar of this pod serves HTTP, as in 127.0.0.1:9464: it says the pod's limit
    #[arg(long, env = "NIGHTSHIFT_SIDECAR", value_name = "ADDRESS")]
    pub sidecar: Option<SocketAddr>,

    /// Make batches as large as ever, whatever memory there is: to see what becomes of it
    #[arg(long, hide = true)]
    pub without_memory_guard: bool,
}

/// A number of bytes; an empty variable or 0 is no limit.
fn bytes(text: &str) -> Result<u64, String> {
    match text.trim() {
        "" => Ok(0),
        text => text.parse().map_err(|_| "write a number of bytes, as in 1073741824".to_owned()),
    }
}

impl MemoryArgs {
    /// The guard of this process.
    ///
    /// # Errors
    /// If there is no thread for the questions to the sidecar.
    pub fn guard(&self) -> Result<Guard, Failure> {
        if self.without_memory_guard {
            return Ok(Guard::new(Vec::new()));
        }
        let mut bounds = bounds::of_this_process();
        let named = self.memory_limit.filter(|limit| *limit > 0);
        bounds.extend(named.and_then(Bound::named));
        if let Some(address) = self.sidecar {
            let beside = Beside::ask(address).map_err(|error| {
                Failure::new(Exit::Io, format_args!("the sidecar cannot be asked: {error}"))
            })?;
            bounds.push(Bound::Pod(beside));
        }
        for bound in &bounds {
            if let Some(room) = bound.room() {
                tracing::info!(limit = %bound, limit_bytes = room.limit_bytes, used_bytes = room.used_bytes, "memory is limited");
            }
        }
        Ok(Guard::new(bounds))
    }
}

//! SIGINT and SIGTERM, the two signals that end a program.
//!
//! Each program installs handlers first of all: process 1 of a container ignores a signal that it
//! has no handler for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use nightshift_core::exit::Exit;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals.
pub const BOTH: [i32; 2] = [SIGINT, SIGTERM];

/// Whether a signal ends the process on the spot. Signals belong to a process, and so does this.
static ON_THE_SPOT: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on a signal ends the process on the spot with `exit`, until somebody
/// [takes over](take_over). For commands that leave nothing behind, and for the start of those
/// that do.
///
/// # Errors
/// If the system refuses a handler.
pub fn end_on_the_spot(exit: Exit) -> Result<(), Failure> {
    ON_THE_SPOT.store(true, Ordering::Relaxed);
    for signal in BOTH {
        let code = i32::from(exit.code());
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&ON_THE_SPOT))
            .map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// From now on somebody else sees to the signals; to be called when their handlers are there.
pub fn take_over() {
    ON_THE_SPOT.store(false, Ordering::Relaxed);
}

/// A system that refuses a handler.
pub fn refused(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"))
}

/// The two signals, for programs that wait.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the signals end what waits for them instead of the process. Needs a runtime
    /// around it.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| refused(&error));
        let (interrupt, terminate) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        take_over();
        Ok(Self { interrupt, terminate })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

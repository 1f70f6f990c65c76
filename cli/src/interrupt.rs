//! Ctrl-C and SIGTERM, for commands that wait.

use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that end a wait. Needs a runtime around it.
#[derive(Debug)]
pub(crate) struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    /// From now on the signals end what waits for them instead of the process.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"))
            })
        };
        Ok(Self { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

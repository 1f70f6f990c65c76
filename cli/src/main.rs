//! The `nightshift` command: see `nightshift --help`.

use std::process::ExitCode;

use clap::Parser;
use nightshift_core::exit::Exit;
use nightshift_telemetry::ending::{end, usage};
use nightshift_telemetry::signals::end_on_the_spot;

mod args;
mod command;
mod coordinator;
mod outlook;
mod progress;
mod prose;
mod span;
mod summary;
mod table;
mod ticking;
mod view;
mod waiting;

/// Batches are allocated and freed by many threads at once, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The program, as it names itself at its end.
const PROGRAM: &str = "nightshift";

fn main() -> ExitCode {
    // Before any TLS: rustls may be built with several providers, and is not asked to choose. An
    // error says that one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Commands that have something to bring to an end take the signals over.
    if let Err(failure) = end_on_the_spot(Exit::Temporary) {
        return end(PROGRAM, Err(failure));
    }
    match args::Cli::try_parse() {
        Ok(cli) => end(PROGRAM, command::perform(cli)),
        Err(error) => usage(PROGRAM, &error),
    }
}

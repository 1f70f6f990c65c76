//! The `nightshift` command: see `nightshift --help`.

use std::process::ExitCode;

use clap::Parser;
use nightshift_worker::front::failure;

mod args;
mod command;
mod coordinator;
mod interrupt;
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

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    match command::perform(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => failure.report(),
    }
}

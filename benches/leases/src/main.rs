//! What leasing costs: a real coordinator process on one core, simulated workers on another.
//!
//! In the order of a measurement: [`stand`] divides the machine and starts a [`service`]; a
//! [`scene`] has what a run needs, [`records`] what its workers have written; a [`fleet`] of
//! simulated workers leases and reports. [`load`] measures pairs a second, [`memory`] a run of a
//! million shards, [`skew`] how work of uneven length is shared. [`queue`] is the peer: a plain
//! list in Redis.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::args::{Arguments, Command, OutputFormatArg};

mod args;
mod stand;
mod service;
mod scene;
mod records;
mod fleet;
mod latency;
mod load;
mod memory;
mod skew;
mod queue;
mod resp;
mod table;
#[cfg(test)]
mod stub;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    // One thread: the coordinator has the other cores, and the workers do nothing but wait.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = match arguments.command {
        Command::Load(args) => {
            let found = runtime.block_on(load::load(&args))?;
            shown(args.common.output_format, &found, load::render)?
        }
        Command::Memory(args) => {
            let found = runtime.block_on(memory::memory(&args))?;
            shown(args.common.output_format, &found, memory::render)?
        }
        Command::Skew(args) => {
            let found = runtime.block_on(skew::skew(&args))?;
            shown(args.common.output_format, &found, skew::render)?
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn shown<T: serde::Serialize>(
    format: OutputFormatArg,
    found: &T,
    render: fn(&T) -> String,
) -> Result<String> {
    match format {
        OutputFormatArg::Text => Ok(render(found)),
        OutputFormatArg::Json => Ok(format!("{}\n", serde_json::to_string_pretty(found)?)),
    }
}

//! The commands, one file each, in the order of `--help`.

use std::io::Write;

use clap::CommandFactory;
use nightshift_core::exit::Exit;
use serde::Serialize;

use crate::args::{Cli, Command};
use nightshift_worker::front::failure::Failure;

mod backfill;
mod cancel;
mod doctor;
mod example;
mod lint;
mod plan;
mod render;
mod report;
mod retry;
mod run;
mod status;
mod submit;
mod verify;
mod why;

/// Performs one command.
pub(crate) fn perform(cli: Cli) -> Result<Exit, Failure> {
    cli.log.init()?;
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "nightshift", &mut std::io::stdout());
        return Ok(Exit::Done);
    }
    if let Command::Lint(args) = &cli.command {
        return lint::perform(args);
    }
    if let Command::Render(args) = &cli.command {
        return render::perform(args);
    }
    if let Command::Example(args) = &cli.command {
        return example::perform(args);
    }
    let runtime = nightshift_worker::front::runtime()?;
    let handle = runtime.handle().clone();
    match cli.command {
        Command::Run(args) => run::perform(handle, &args),
        Command::Plan(args) => plan::perform(handle, &args),
        Command::Backfill(args) => backfill::perform(&handle, &args),
        Command::Submit(args) => submit::perform(&handle, &args),
        Command::Why(args) => why::perform(&handle, &args),
        Command::Cancel(args) => cancel::perform(&handle, &args),
        Command::Retry(args) => retry::perform(&handle, &args),
        Command::Status(args) => status::perform(&handle, &args),
        Command::Report(args) => report::perform(handle, &args),
        Command::Verify(args) => verify::perform(&handle, &args),
        Command::Doctor(args) => doctor::perform(handle, &args),
        Command::Lint(_)
        | Command::Example(_)
        | Command::Render(_)
        | Command::Completions { .. } => Ok(Exit::Done),
    }
}

/// Writes text to standard output. A reader that has gone, as in `… | head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(|_| ())
}

/// Writes text to standard output, and says whether anybody reads it.
pub(crate) fn print_while_read(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(Exit::Software, format_args!("no JSON: {error}")))?;
    text.push('\n');
    print(&text)
}

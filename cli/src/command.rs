//! The commands, one file each, in the order of `--help`.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use clap::CommandFactory;
use nightshift_core::exit::Exit;
use nightshift_core::gates::Judgement;
use serde::Serialize;

use crate::args::{Cli, Command};
use nightshift_worker::front::failure::Failure;

mod backfill;
mod cancel;
mod diff_models;
mod doctor;
mod example;
mod judge;
mod gc;
mod lint;
mod plan;
mod render;
mod replay;
mod report;
mod retry;
mod run;
mod status;
mod submit;
mod top;
mod verify;
mod why;

/// Performs one command.
pub(crate) fn perform(cli: Cli) -> Result<Exit, Failure> {
    // Lines of a log would go across what is drawn; standard error may be elsewhere, though.
    let drawn = matches!(&cli.command, Command::Top(args) if top::is_drawn(args));
    // What scores rows here sends spans and numbers, until the end of this function.
    let exporting = match &cli.command {
        Command::Run(_) | Command::Backfill(_) => Some(cli.log.init_exporting("nightshift")?),
        _ if drawn && std::io::stderr().is_terminal() => None,
        _ => {
            cli.log.init()?;
            None
        }
    };
    let meter = exporting.as_ref().map(|exporting| Arc::clone(exporting.meter()));
    let meter = meter.unwrap_or_default();
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
        Command::Run(args) => run::perform(handle, &args, meter),
        Command::Plan(args) => plan::perform(handle, &args),
        Command::Backfill(args) => backfill::perform(&handle, &args, meter),
        Command::Submit(args) => submit::perform(&handle, &args),
        Command::Why(args) => why::perform(&handle, &args),
        Command::Cancel(args) => cancel::perform(&handle, &args),
        Command::Retry(args) => retry::perform(&handle, &args),
        Command::Status(args) => status::perform(&handle, &args),
        Command::Top(args) => top::perform(&handle, &args),
        Command::DiffModels(args) => diff_models::perform(handle, &args),
        Command::Approve(args) => judge::perform(&handle, &args, Judgement::Approved),
        Command::Reject(args) => judge::perform(&handle, &args, Judgement::Rejected),
        Command::Report(args) => report::perform(handle, &args),
        Command::Verify(args) => verify::perform(&handle, &args),
        Command::Replay(args) => replay::perform(&handle, &args),
        Command::Gc(args) => gc::perform(&handle, &args),
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

/// A folder from the command line, relative to the current one, or a URI as it is.
pub(crate) fn place(output: &str) -> Result<String, Failure> {
    if output.contains("://") {
        return Ok(output.to_owned());
    }
    let absolute = std::path::absolute(output)
        .map_err(|error| Failure::new(Exit::Usage, format_args!("--output {output}: {error}")))?;
    Ok(absolute.to_string_lossy().into_owned())
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::new(Exit::Software, format_args!("no JSON: {error}")))?;
    text.push('\n');
    print(&text)
}

//! The `nightshift-worker` command: shards of a coordinator, one shard of a run, or one file; see
//! `--help`.

use std::process::ExitCode;
use std::sync::Arc;

use nightshift_core::conclusion::FinalState;
use nightshift_core::exit::Exit;
use nightshift_core::ids::ShardIndex;
use nightshift_worker::front::failure::{Failure, usage};
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::front::{default_threads, runtime};
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::{Outcome, Session};
use nightshift_worker::single::{Single, score_file};
use nightshift_worker::source::{Drain, drain_on_signals};

mod args;
mod commit;
mod coordinator;
mod parent;

use args::{Arguments, Mode};

/// Batches are allocated and freed by many threads at once, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any TLS: rustls may be built with several providers, and is not asked to choose. An
    // error says that one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = match Arguments::of_this_process() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match perform(&arguments) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => failure.report(),
    }
}

fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    arguments.log.init()?;
    let drain = Drain::default();
    drain_on_signals(&drain).map_err(|error| {
        Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"))
    })?;
    parent::drain_with_parent(&drain).map_err(|error| {
        Failure::new(Exit::Io, format_args!("the parent cannot be watched: {error}"))
    })?;
    match arguments.mode()? {
        Mode::Member { coordinator } => {
            arguments.member.work(&coordinator, arguments.workers, drain)
        }
        Mode::Commit(commit) => commit.commit(),
        Mode::File(single) => file(&single),
        Mode::Shard { shard, shards } => shard_of(arguments, shard, shards, drain),
    }
}

/// One file into another.
fn file(single: &Single) -> Result<Exit, Failure> {
    let done = score_file(single)
        .map_err(|error| Failure::new(error.exit(), nightshift_worker::describe(&error)))?;
    println_err(&format!(
        "{} rows in, {} out, {} rejected: {}",
        done.rows_in, done.rows_out, done.rows_rejected, single.output
    ));
    Ok(Exit::Done)
}

/// One shard of a run that needs no coordinator.
fn shard_of(
    arguments: &Arguments,
    shard: ShardIndex,
    shards: u32,
    drain: Drain,
) -> Result<Exit, Failure> {
    let spec = arguments.spec_args()?;
    let workspace = Workspace::open(&spec)?;
    let [partition] = workspace.partitions(&arguments.dates)?[..] else {
        return Err(Failure::new(
            Exit::Usage,
            "a worker scores one date: use --date, or `nightshift run --dates` for several",
        ));
    };
    let mut task = workspace.task(partition)?;
    task.shards = Some(shards);
    let runtime = runtime()?;
    let threads = arguments.workers.map_or_else(default_threads, usize::from);
    let handle = runtime.handle().clone();
    let session = Session::new(handle, threads, drain.clone(), Arc::new(NoObserver));
    let outcome = session.run_shard(&task, shard)?;
    session.finish_telling();
    match outcome {
        Outcome::AlreadyDone(report) => {
            println_err(&format!("{} has succeeded already", report.verdict.run));
            Ok(Exit::Done)
        }
        Outcome::Concluded(report, _) => {
            let verdict = &report.verdict;
            let given_up = verdict.quarantined.iter().find(|given_up| given_up.shard == shard);
            println_err(&format!(
                "shard {shard} was the last: {} {}",
                verdict.run,
                verdict.state.as_str()
            ));
            match given_up {
                Some(given_up) if verdict.state != FinalState::Succeeded => {
                    Err(Failure::new(Exit::Data, &given_up.message))
                }
                _ => Ok(Exit::Done),
            }
        }
        Outcome::Open { run, undecided } => {
            if drain.is_requested() {
                let text = "drained: run the same command again to continue";
                return Err(Failure::new(Exit::Temporary, text));
            }
            println_err(&format!(
                "shard {shard} of {run} is decided, {undecided} others are not yet"
            ));
            match session.quarantined(&task, &run, shard)? {
                Some(message) => Err(Failure::new(Exit::Data, message)),
                None => Ok(Exit::Done),
            }
        }
    }
}

/// One line for people; nobody is left to tell if standard error is gone.
fn println_err(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

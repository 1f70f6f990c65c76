//! The `nightshift-worker` command: shards of a coordinator, one shard of a run, or one file; see
//! `--help`.

use std::process::ExitCode;
use std::sync::Arc;

use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::exit::Exit;
use nightshift_core::gates::GateOutcome;
use nightshift_core::ids::ShardIndex;
use nightshift_core::model::ModelUri;
use nightshift_storage::model::Models;
use nightshift_telemetry::ending::{end, usage};
use nightshift_telemetry::meter::Meter;
use nightshift_telemetry::signals::refused;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use nightshift_worker::front::{default_threads, runtime};
use nightshift_worker::pool::NoObserver;
use nightshift_worker::session::{Outcome, RunError, Session};
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

/// The program, as it names itself at its end.
const PROGRAM: &str = "nightshift-worker";

fn main() -> ExitCode {
    // Before any TLS: rustls may be built with several providers, and is not asked to choose. An
    // error says that one is installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Arguments::of_this_process() {
        Ok(arguments) => end(PROGRAM, perform(&arguments)),
        Err(error) => usage(PROGRAM, &error),
    }
}

fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let drain = Drain::default();
    drain_on_signals(&drain, PROGRAM).map_err(|error| refused(&error))?;
    // Until the end of this function: then what is left to send is sent.
    let exporting = arguments.log.init_exporting(PROGRAM)?;
    parent::drain_with_parent(&drain).map_err(|error| {
        Failure::new(Exit::Io, format_args!("the parent cannot be watched: {error}"))
    })?;
    match arguments.mode()? {
        Mode::Member { coordinator } => {
            let forced = arguments.rehearsal.forced();
            let meter = exporting.meter();
            let memory = arguments.memory.guard()?.with_meter(Arc::clone(meter));
            let (member, workers) = (&arguments.member, arguments.workers);
            let ended = member.work(&coordinator, workers, drain, forced.clone(), memory, meter);
            forced.summary().iter().for_each(|line| println_err(line));
            ended
        }
        Mode::Commit(commit) => commit.commit(),
        Mode::File(single) => file(*single, &drain),
        Mode::Shard { shard, shards } => {
            shard_of(arguments, shard, shards, drain, exporting.meter())
        }
    }
}

/// One file into another.
fn file(mut single: Single, drain: &Drain) -> Result<Exit, Failure> {
    let model: ModelUri = single.model.parse().map_err(|error| {
        Failure::new(Exit::Usage, format_args!("--model names no model: {error}"))
    })?;
    if !model.is_folder() {
        let resolved = runtime()?.block_on(Models::from_env().resolve(&model, None));
        single.model = resolved.map_err(RunError::from)?.folder.display().to_string();
    }
    let done = score_file(&single, drain)
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
    meter: &Arc<Meter>,
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
    let mut session = Session::new(handle, threads, drain.clone(), Arc::new(NoObserver));
    session.meter = Arc::clone(meter);
    session.ignore_window = arguments.ignore_window;
    session.forced = arguments.rehearsal.forced();
    session.memory = Arc::new(arguments.memory.guard()?.with_meter(Arc::clone(meter)));
    let outcome = session.run_shard(&task, shard);
    session.forced.summary().iter().for_each(|line| println_err(line));
    session.finish_telling();
    match outcome? {
        Outcome::AlreadyDone(report) => {
            println_err(&format!("{} has succeeded already", report.verdict.run));
            Ok(Exit::Done)
        }
        Outcome::Held(report, _) => Err(withheld(&report.verdict)),
        Outcome::Concluded(report, _) if report.verdict.waits_for_approval() => {
            Err(withheld(&report.verdict))
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
                    let failure = Failure::new(Exit::Data, &given_up.message);
                    Err(failure.of(&verdict.run, Some(shard)))
                }
                _ => Ok(Exit::Done),
            }
        }
        Outcome::Paused { why, .. } => {
            let text = format!("{why}; run the same command again then, or use --ignore-window");
            Err(Failure::new(Exit::Temporary, text))
        }
        Outcome::Open { run, undecided } => {
            if drain.is_requested() {
                let text = "drained: run the same command again to continue";
                return Err(Failure::new(Exit::Temporary, text).of(&run, Some(shard)));
            }
            println_err(&format!(
                "shard {shard} of {run} is decided, {undecided} others are not yet"
            ));
            match session.quarantined(&task, &run, shard)? {
                Some(message) => Err(Failure::new(Exit::Data, message).of(&run, Some(shard))),
                None => Ok(Exit::Done),
            }
        }
    }
}

/// The shard is done, and nobody may see its output yet: a Job has to look failed for that.
fn withheld(verdict: &Final) -> Failure {
    let why = verdict.gate.as_ref().map(GateOutcome::reasons).unwrap_or_default();
    Failure::new(Exit::Data, format_args!("{} is withheld by its gate: {why}", verdict.run))
}

/// One line for people; nobody is left to tell if standard error is gone.
fn println_err(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

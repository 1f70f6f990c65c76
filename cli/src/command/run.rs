//! `nightshift run`: score dates on this machine.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use nightshift_core::conclusion::FinalState;
use nightshift_core::decide::Decision;
use nightshift_core::exit::Exit;
use nightshift_core::gates::GateOutcome;
use nightshift_core::ids::Partition;
use nightshift_core::report::Report;
use nightshift_storage::deciding::Deciding;
use nightshift_storage::sync::Durability;
use nightshift_telemetry::meter::Meter;
use nightshift_telemetry::signals::refused;
use nightshift_worker::identity::Identity;
use nightshift_worker::session::{Outcome, RunError, Session};
use nightshift_worker::source::Drain;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{plan, print, print_json};
use crate::args::{OutputFormatArg, RunArgs};
use crate::progress::Progress;
use crate::summary::{Line, Parts, exit_of, render, tell_troubles};
use crate::table::{seconds, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// State of a date that is outside of its window.
pub(super) const PAUSED: &str = "paused";

/// Everything that the command did.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// Whether the data was synced to disk before it was committed.
    durable: bool,
    output: &'a str,
    dates: &'a [Line],
    seconds: f64,
}

pub(crate) fn perform(runtime: Handle, args: &RunArgs, meter: Arc<Meter>) -> Result<Exit, Failure> {
    if args.dry_run {
        return plan::show(runtime, &args.spec, &args.dates, args.format.output_format, args.force);
    }
    let workspace = Workspace::open(&args.spec)?;
    let who = Identity::of_this_process().to_string();
    let deciding = args.commit.deciding(who, &workspace.output()?)?;
    let done = work(&runtime, args, &workspace, meter, deciding.clone());
    runtime.block_on(deciding.release());
    done
}

fn work(
    runtime: &Handle,
    args: &RunArgs,
    workspace: &Workspace,
    meter: Arc<Meter>,
    deciding: Deciding,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let partitions = workspace.partitions(&args.dates)?;
    let drain = drain_on_signals()?;
    let durable = !args.without_sync;
    let json = args.format.output_format == OutputFormatArg::Json;
    let progress = Arc::new(Progress::new(partitions.len() as u64, json));
    let threads = args.workers.map_or_else(nightshift_worker::front::default_threads, usize::from);
    let observer = Arc::clone(&progress);
    let mut session = Session::new(runtime.clone(), threads, drain.clone(), observer);
    session.meter = meter;
    session.deciding = deciding;
    session.ignore_window = args.ignore_window;
    if args.without_sync {
        session.durability = Durability::None;
    }
    session.forced = args.rehearsal.forced();
    session.memory = Arc::new(args.memory.guard()?);
    let several = partitions.len() > 1;
    let mut lines = Vec::with_capacity(partitions.len());
    for partition in partitions {
        if drain.is_requested() {
            break;
        }
        let line = match one(&session, workspace, partition, args.force, &progress) {
            Ok(line) => line,
            // What is wrong with one date need not be wrong with the next.
            Err(error) if several && of_one_date(error.exit()) => {
                let failure = with_partition(&error, partition);
                progress.end(&failure.to_string());
                Line::failed(partition, &failure)
            }
            Err(error) => {
                progress.finish();
                return Err(with_partition(&error, partition));
            }
        };
        let open = matches!(line.state, "open" | PAUSED);
        lines.push(line);
        if open {
            break;
        }
    }
    progress.finish();
    if let Some(line) = session.forced.summary() {
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    session.finish_telling();
    let output = workspace.output()?;
    if json {
        let seconds = started.elapsed().as_secs_f64();
        print_json(&Summary { durable, output: &output, dates: &lines, seconds })?;
    } else {
        print(&render(Some(&output), &lines, started.elapsed().as_secs_f64()))?;
        if !durable {
            print(
                "Nothing was synced to disk (--without-sync): a power failure may lose this output\n",
            )?;
        }
    }
    tell_troubles(&lines);
    if drain.is_requested() {
        let text = "drained: what is committed stays; run the same command again to continue";
        return Err(Failure::new(Exit::Temporary, text));
    }
    Ok(exit_of(&lines))
}

/// Runs one partition.
fn one(
    session: &Session,
    workspace: &Workspace,
    partition: Partition,
    force: bool,
    progress: &Progress,
) -> Result<Line, Box<RunError>> {
    let started = Instant::now();
    let mut task = workspace.bound(partition).map_err(RunError::from)?;
    task.force = force.then(|| format!("nightshift run --force by {}", session.who));
    progress.begin(&partition.to_string());
    let outcome = session.run(&task)?;
    let line = outcome_line(partition, outcome, started.elapsed().as_secs_f64());
    progress.end(&format!(
        "{partition}  {}  {} rows in {} s",
        line.state,
        thousands(line.rows_in),
        seconds(line.seconds)
    ));
    Ok(line)
}

/// What became of a partition, in the table.
pub(super) fn outcome_line(partition: Partition, outcome: Outcome, elapsed: f64) -> Line {
    match outcome {
        Outcome::AlreadyDone(report) => {
            let (troubles, exit) = (Vec::new(), Exit::Done);
            let output = Some(report.output.clone());
            Line { state: "done", troubles, exit, output, ..line_of(&report, elapsed) }
        }
        Outcome::Held(report, decision) => {
            let state =
                if matches!(decision, Decision::Rejected(_)) { "rejected" } else { "withheld" };
            Line { state, ..line_of(&report, elapsed) }
        }
        Outcome::Concluded(report, effort) => {
            let parts = Some(Parts::new(&report, effort));
            Line { parts, ..line_of(&report, elapsed) }
        }
        Outcome::Paused { undecided, why } => Line {
            shards: undecided,
            seconds: elapsed,
            troubles: vec![format!("{partition}: {why}; the same command goes on then")],
            ..Line::empty(partition, PAUSED, Exit::Temporary)
        },
        Outcome::Open { undecided, .. } => Line {
            shards: undecided,
            seconds: elapsed,
            ..Line::empty(partition, "open", Exit::Temporary)
        },
    }
}

/// Whether an error is about one date's input, so that other dates are worth a try.
pub(super) fn of_one_date(exit: Exit) -> bool {
    matches!(exit, Exit::NoInput | Exit::Data)
}

/// Names the date where the error itself does not.
pub(super) fn with_partition(error: &RunError, partition: Partition) -> Failure {
    let exit = error.exit();
    let text = nightshift_worker::describe(error);
    match partition {
        Partition::Date(date) if !text.contains(&date.to_string()) => {
            Failure::new(exit, format_args!("{date}: {text}"))
        }
        _ => Failure::new(exit, text),
    }
}

pub(super) fn line_of(report: &Report, seconds: f64) -> Line {
    let verdict = &report.verdict;
    let totals = &verdict.totals;
    let troubles = verdict.quarantined.iter().take(3).map(|shard| {
        format!("shard {} of {}: {}: {}", shard.shard, verdict.run, shard.reason, shard.message)
    });
    let withheld = verdict.waits_for_approval().then(|| {
        let why = verdict.gate.as_ref().map(GateOutcome::reasons).unwrap_or_default();
        format!("{} is withheld by its gate: {why}", verdict.run)
    });
    let passed = verdict.state == FinalState::Succeeded && withheld.is_none();
    Line {
        partition: verdict.run.partition,
        run: None,
        state: if withheld.is_some() { "withheld" } else { verdict.state.as_str() },
        rows_in: totals.rows_in,
        rows_out: totals.rows_out,
        rows_rejected: totals.rows_rejected,
        shards: totals.shards,
        quarantined: totals.quarantined,
        seconds,
        parts: None,
        // What a gate keeps has no folder that anybody could look into.
        output: (passed || verdict.gate.is_none()).then(|| report.output.clone()),
        troubles: troubles.chain(withheld).collect(),
        exit: if passed { Exit::Done } else { Exit::Data },
    }
}

/// The first SIGINT or SIGTERM drains; a second one ends the process at once.
pub(super) fn drain_on_signals() -> Result<Drain, Failure> {
    let drain = Drain::default();
    nightshift_worker::source::drain_on_signals(&drain, crate::PROGRAM)
        .map_err(|error| refused(&error))?;
    Ok(drain)
}

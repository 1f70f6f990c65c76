//! `nightshift run`: score dates on this machine.

use std::sync::Arc;
use std::time::Instant;

use nightshift_core::conclusion::FinalState;
use nightshift_core::exit::Exit;
use nightshift_core::ids::Partition;
use nightshift_core::report::Report;
use nightshift_storage::sync::Durability;
use nightshift_worker::pool::Effort;
use nightshift_worker::session::{Outcome, RunError, Session};
use nightshift_worker::source::Drain;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{plan, print, print_json};
use crate::args::{OutputFormatArg, RunArgs};
use crate::progress::Progress;
use crate::table::{Align, Table, rate, seconds, thousands};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;

/// What became of one partition.
#[derive(Debug, Serialize)]
struct Line {
    partition: Partition,
    /// `done`: it was done before; else the verdict, or `open`.
    state: &'static str,
    rows_in: u64,
    rows_out: u64,
    rows_rejected: u64,
    shards: u64,
    quarantined: u64,
    /// Seconds that this command spent on it.
    seconds: f64,
    /// Where the time went, if this command did the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Parts>,
    /// Folder of the visible files.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// What went wrong, the first few things.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    troubles: Vec<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Line {
    fn empty(partition: Partition, state: &'static str, exit: Exit) -> Self {
        Self {
            partition,
            state,
            rows_in: 0,
            rows_out: 0,
            rows_rejected: 0,
            shards: 0,
            quarantined: 0,
            seconds: 0.0,
            parts: None,
            output: None,
            troubles: Vec::new(),
            exit,
        }
    }

    /// A date that could not be run, among others that could.
    fn failed(partition: Partition, failure: &Failure) -> Self {
        let state = if failure.exit() == Exit::NoInput { "no input" } else { "unreadable" };
        let troubles = vec![failure.to_string()];
        Self { troubles, ..Self::empty(partition, state, failure.exit()) }
    }
}

/// Where the time of one run went, in seconds added up over threads and concurrent commits.
#[derive(Debug, Serialize)]
struct Parts {
    read_s: f64,
    infer_s: f64,
    write_s: f64,
    commit_s: f64,
    /// Of the commits, waiting for files and directories to be on disk.
    sync_s: f64,
    synced_files: u64,
    synced_directories: u64,
    attempts_scored: u64,
    commits_lost: u64,
}

impl Parts {
    fn new(report: &Report, effort: Effort) -> Self {
        let totals = &report.verdict.totals;
        Self {
            read_s: totals.read_s,
            infer_s: totals.infer_s,
            write_s: totals.write_s,
            commit_s: effort.commit_s,
            sync_s: (effort.sync.files_time + effort.sync.directories_time).as_secs_f64(),
            synced_files: effort.sync.files,
            synced_directories: effort.sync.directories,
            attempts_scored: effort.attempts_scored,
            commits_lost: effort.commits_lost,
        }
    }
}

/// Everything that the command did.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// Whether the data was synced to disk before it was committed.
    durable: bool,
    output: &'a str,
    dates: &'a [Line],
    seconds: f64,
}

pub(crate) fn perform(runtime: Handle, args: &RunArgs) -> Result<Exit, Failure> {
    if args.dry_run {
        return plan::show(runtime, &args.spec, &args.dates, args.format.output_format, args.force);
    }
    let started = Instant::now();
    let workspace = Workspace::open(&args.spec)?;
    let partitions = workspace.partitions(&args.dates)?;
    let drain = drain_on_signals()?;
    let durable = !args.without_sync;
    let json = args.format.output_format == OutputFormatArg::Json;
    let progress = Arc::new(Progress::new(partitions.len() as u64, json));
    let threads = args.workers.map_or_else(nightshift_worker::front::default_threads, usize::from);
    let observer = Arc::clone(&progress);
    let mut session = Session::new(runtime, threads, drain.clone(), observer);
    if args.without_sync {
        session.durability = Durability::None;
    }
    let several = partitions.len() > 1;
    let mut lines = Vec::with_capacity(partitions.len());
    for partition in partitions {
        if drain.is_requested() {
            break;
        }
        let line = match one(&session, &workspace, partition, args.force, &progress) {
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
        let open = line.state == "open";
        lines.push(line);
        if open {
            break;
        }
    }
    progress.finish();
    let output = workspace.output()?;
    if json {
        let seconds = started.elapsed().as_secs_f64();
        print_json(&Summary { durable, output: &output, dates: &lines, seconds })?;
    } else {
        print(&render(&output, &lines, started.elapsed().as_secs_f64()))?;
        if !durable {
            print(
                "Nothing was synced to disk (--without-sync): a power failure may lose this output\n",
            )?;
        }
    }
    for trouble in lines.iter().flat_map(|line| &line.troubles) {
        // The table has gone to standard output; why a shard was given up is for people.
        Failure::new(Exit::Data, trouble).report();
    }
    if drain.is_requested() {
        let text = "drained: what is committed stays; run the same command again to continue";
        return Err(Failure::new(Exit::Temporary, text));
    }
    let worst = lines.iter().map(|line| line.exit).find(|exit| *exit != Exit::Done);
    Ok(worst.unwrap_or(Exit::Done))
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
    let elapsed = started.elapsed().as_secs_f64();
    let line = match outcome {
        Outcome::AlreadyDone(report) => Line { state: "done", ..line_of(&report, elapsed) },
        Outcome::Concluded(report, effort) => {
            let parts = Some(Parts::new(&report, effort));
            Line { parts, ..line_of(&report, elapsed) }
        }
        Outcome::Open { undecided, .. } => Line {
            shards: undecided,
            seconds: elapsed,
            ..Line::empty(partition, "open", Exit::Temporary)
        },
    };
    progress.end(&format!(
        "{partition}  {}  {} rows in {} s",
        line.state,
        thousands(line.rows_in),
        seconds(elapsed)
    ));
    Ok(line)
}

/// Whether an error is about one date's input, so that other dates are worth a try.
fn of_one_date(exit: Exit) -> bool {
    matches!(exit, Exit::NoInput | Exit::Data)
}

/// Names the date where the error itself does not.
fn with_partition(error: &RunError, partition: Partition) -> Failure {
    let exit = error.exit();
    let text = nightshift_worker::describe(error);
    match partition {
        Partition::Date(date) if !text.contains(&date.to_string()) => {
            Failure::new(exit, format_args!("{date}: {text}"))
        }
        _ => Failure::new(exit, text),
    }
}

fn line_of(report: &Report, seconds: f64) -> Line {
    let verdict = &report.verdict;
    let totals = &verdict.totals;
    let troubles = verdict.quarantined.iter().take(3).map(|shard| {
        format!("shard {} of {}: {}: {}", shard.shard, verdict.run, shard.reason, shard.message)
    });
    Line {
        partition: verdict.run.partition,
        state: verdict.state.as_str(),
        rows_in: totals.rows_in,
        rows_out: totals.rows_out,
        rows_rejected: totals.rows_rejected,
        shards: totals.shards,
        quarantined: totals.quarantined,
        seconds,
        parts: None,
        output: Some(report.output.clone()),
        troubles: troubles.collect(),
        exit: if verdict.state == FinalState::Succeeded { Exit::Done } else { Exit::Data },
    }
}

/// The table for people.
fn render(output: &str, lines: &[Line], elapsed: f64) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("state", Left),
        ("rows in", Right),
        ("rows out", Right),
        ("rejects", Right),
        ("shards", Right),
        ("seconds", Right),
        ("rows/s", Right),
    ]);
    let row = |name: String, state: &str, line: [u64; 4], spent: f64, worked: u64| {
        let [rows_in, rows_out, rejected, shards] = line.map(thousands);
        [
            name,
            state.to_owned(),
            rows_in,
            rows_out,
            rejected,
            shards,
            seconds(spent),
            rate(worked, spent),
        ]
    };
    let worked = |line: &Line| if line.state == "done" { 0 } else { line.rows_in };
    for line in lines {
        let numbers = [line.rows_in, line.rows_out, line.rows_rejected, line.shards];
        table.row(row(line.partition.to_string(), line.state, numbers, line.seconds, worked(line)));
    }
    if lines.len() > 1 {
        let sum = |number: fn(&Line) -> u64| lines.iter().map(number).sum::<u64>();
        let numbers = [
            sum(|line| line.rows_in),
            sum(|line| line.rows_out),
            sum(|line| line.rows_rejected),
            sum(|line| line.shards),
        ];
        let all = lines.iter().map(worked).sum();
        table.row(row("total".to_owned(), "", numbers, elapsed, all));
    }
    let before = lines.iter().filter(|line| line.state == "done").count();
    let mut text = table.render();
    text.push('\n');
    if before > 0 {
        let noun = if lines.len() == 1 { "date was" } else { "dates were" };
        text.push_str(&format!(
            "{before} of {} {noun} done already; nothing was computed for them\n",
            lines.len()
        ));
    }
    if let Some(folder) = lines.iter().rev().find_map(|line| line.output.as_ref()) {
        text.push_str(&format!("Predictions: {output}\nlast folder: {folder}/\n"));
    }
    text
}

/// The first SIGINT or SIGTERM drains; a second one ends the process at once.
fn drain_on_signals() -> Result<Drain, Failure> {
    let drain = Drain::default();
    nightshift_worker::source::drain_on_signals(&drain).map_err(|error| {
        Failure::new(Exit::Io, format_args!("signals cannot be handled: {error}"))
    })?;
    Ok(drain)
}

//! Waiting for the verdicts of runs, and the table that it ends with.

use std::cell::RefCell;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use nightshift_core::conclusion::FinalState;
use nightshift_core::exit::Exit;
use nightshift_core::layout::Prefix;
use nightshift_proto::runs::get::GetRun;
use nightshift_proto::runs::start::StartRun;
use nightshift_proto::runs::status::RunStatus;
use nightshift_proto::runs::verdict::RunVerdict;
use nightshift_proto::runs::watch::WatchedRun;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use serde::Serialize;

use crate::args::OutputFormatArg;
use crate::command::{print, print_json};
use crate::coordinator::{Address, CallError, Coordinator};
use crate::progress::runs::RunsProgress;
use crate::prose;
use crate::summary::{Line, exit_of, render, tell_troubles};
use crate::table::{seconds, thousands};
use crate::view::decided;

/// Most runs that are followed at a time. The others wait their turn: a run that has ended
/// meanwhile is told with the first message.
const FOLLOWED_MAX: usize = 16;
/// How often a run that a new coordinator does not know is wished for again.
const WISHES_MAX: u32 = 3;
/// Most quarantined shards that are told of each run.
const TROUBLES_MAX: usize = 3;

/// A run to wait for.
#[derive(Debug)]
pub(crate) struct Awaited {
    /// How it was seen first.
    pub(crate) run: RunStatus,
    /// The wish that it came from: repeated, it brings back a run that was lost before it was
    /// planned.
    pub(crate) wish: Option<StartRun>,
}

/// What is to be known about one partition in the end.
#[derive(Debug)]
pub(crate) enum Part {
    /// Its line in the table.
    Known(Box<Line>),
    /// A run to wait for.
    Awaited(Box<Awaited>),
}

/// What was waited for.
#[derive(Debug)]
pub(crate) struct Waited {
    lines: Vec<Line>,
    ended: Ended,
}

/// How the wait ended.
#[derive(Debug)]
enum Ended {
    /// With every verdict.
    Decided,
    /// By a signal.
    Interrupted,
    /// Nobody answered any more.
    GivenUp(CallError),
}

impl Waited {
    /// Whether a signal ended the wait.
    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(self.ended, Ended::Interrupted)
    }
}

/// Everything that the command knows in the end.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    coordinator: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    dates: &'a [Line],
    seconds: f64,
    /// What was decided about each date, where dates were decided about.
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<&'a serde_json::Value>,
}

/// Waits for the verdict of every part, for a signal, or until the coordinator is given up.
pub(crate) async fn wait(
    coordinator: &Coordinator,
    parts: Vec<Part>,
    interrupt: &mut Signals,
    quiet: bool,
) -> Waited {
    let awaited = parts.iter().filter(|part| matches!(part, Part::Awaited(_))).count();
    let progress = RunsProgress::new(awaited, quiet);
    coordinator.be_quiet();
    let lines: RefCell<Vec<Option<Line>>> = RefCell::new(parts.iter().map(|_| None).collect());
    let follow = async |at: usize, awaited: &Awaited| {
        let line = line(coordinator, awaited, &progress).await?;
        if let Some(place) = lines.borrow_mut().get_mut(at) {
            *place = Some(line);
        }
        Ok(())
    };
    let all = async {
        let mut followed = stream::iter(parts.iter().enumerate())
            .filter_map(async |(at, part)| match part {
                Part::Awaited(awaited) => Some((at, awaited)),
                Part::Known(_) => None,
            })
            .map(|(at, awaited)| follow(at, awaited))
            .buffer_unordered(FOLLOWED_MAX)
            .boxed_local();
        while let Some(one) = followed.next().await {
            if let Err(error) = one {
                return Ended::GivenUp(error);
            }
        }
        Ended::Decided
    };
    let ended = tokio::select! {
        ended = all => ended,
        () = interrupt.received() => Ended::Interrupted,
    };
    progress.finish();
    let known = lines.into_inner().into_iter().zip(parts).map(|(line, part)| match (line, part) {
        (Some(line), _) => line,
        (None, Part::Known(line)) => *line,
        (None, Part::Awaited(awaited)) => {
            open(&progress.last(&awaited.run.run).unwrap_or(awaited.run))
        }
    });
    Waited { lines: known.collect(), ended }
}

/// Follows one run; an error is one that ends the whole wait.
async fn line(
    coordinator: &Coordinator,
    awaited: &Awaited,
    progress: &RunsProgress,
) -> Result<Line, CallError> {
    let mut run = awaited.run.run.clone();
    let mut wishes = 0;
    loop {
        let show = |sight: crate::coordinator::Sight<'_>| progress.show(&awaited.run.run, sight);
        let error = match coordinator.follow(&run, progress.interval(), show).await {
            Ok(watched) => {
                let line = concluded(coordinator, &watched).await;
                let rows = thousands(line.rows_in);
                let told =
                    format!("{run}  {}  {rows} rows in {} s", line.state, seconds(line.seconds));
                progress.end(&run, &told);
                return Ok(line);
            }
            Err(error) => error,
        };
        let error = match (&awaited.wish, error.is_unknown() && wishes < WISHES_MAX) {
            (Some(wish), true) => match coordinator.start(wish.clone()).await {
                Ok(started) => {
                    run = started.run.run;
                    wishes += 1;
                    continue;
                }
                Err(error) => error,
            },
            _ => error,
        };
        if !error.is_refusal() {
            return Err(error);
        }
        let failure = Failure::from(error);
        progress.end(&run, &format!("{run}  {failure}"));
        let failed = Line::failed(run.partition, &failure);
        return Ok(Line { run: Some(run), ..failed });
    }
}

/// The line of a run with a verdict.
async fn concluded(coordinator: &Coordinator, watched: &WatchedRun) -> Line {
    let line = of_status(&watched.run);
    let Some(verdict) = &watched.verdict else { return line };
    let totals = &verdict.totals;
    let passed = verdict.state == FinalState::Succeeded && verdict.is_accepted();
    let mut line = Line {
        state: kept(verdict).unwrap_or(verdict.state.as_str()),
        rows_in: totals.rows_in,
        rows_out: totals.rows_out,
        rows_rejected: totals.rows_rejected,
        shards: totals.shards,
        quarantined: totals.quarantined,
        exit: if passed { Exit::Done } else { Exit::Data },
        ..line
    };
    if !verdict.is_accepted() {
        let why = prose::one_line(&verdict.withheld);
        line.troubles = vec![format!("{} is withheld by its gate: {why}", watched.run.run)];
        line.output = None;
    } else if totals.quarantined > 0 {
        line.troubles = troubles(coordinator, watched).await;
    }
    line
}

/// What went wrong with the first shards that were given up.
async fn troubles(coordinator: &Coordinator, watched: &WatchedRun) -> Vec<String> {
    let run = &watched.run.run;
    match coordinator.get(GetRun::of(run.clone())).await {
        Ok(found) => {
            let first = found.quarantined.iter().take(TROUBLES_MAX);
            first
                .map(|shard| {
                    let (reason, message) = (&shard.reason, &shard.message);
                    prose::one_line(&format!("shard {} of {run}: {reason}: {message}", shard.shard))
                })
                .collect()
        }
        // The verdict stands, whoever cannot say more about it.
        Err(error) => {
            vec![format!("shards of {run} were given up, and why cannot be asked: {error}")]
        }
    }
}

/// The line of a partition that was done before; `kept` says why readers do not see it.
pub(crate) fn done(run: &RunStatus, kept: Option<&'static str>) -> Line {
    let line = Line { state: "done", seconds: 0.0, exit: Exit::Done, ..of_status(run) };
    match kept {
        Some(state) => Line { state, output: None, exit: Exit::Data, ..line },
        None => line,
    }
}

/// `withheld` or `rejected` where readers do not see the output of a run that succeeded.
pub(crate) fn kept(verdict: &RunVerdict) -> Option<&'static str> {
    if verdict.is_accepted() {
        return None;
    }
    Some(verdict.judged.as_ref().map_or("withheld", |judged| judged.judgement.as_str()))
}

/// The line of a run that goes on without this command. `shards` are the undecided ones, as for
/// `nightshift run`.
fn open(run: &RunStatus) -> Line {
    let undecided = run.shards.total.saturating_sub(decided(run));
    Line {
        state: "open",
        shards: undecided.into(),
        output: None,
        exit: Exit::Temporary,
        ..of_status(run)
    }
}

fn of_status(run: &RunStatus) -> Line {
    let spent = run.planned_at.zip(run.decided_at).map_or(0.0, |(from, to)| {
        // Two clocks may have told the two.
        to.duration_since(from).as_secs_f64().max(0.0)
    });
    Line {
        run: Some(run.run.clone()),
        rows_in: run.rows.planned,
        rows_out: run.rows.out,
        rows_rejected: run.rows.rejected,
        shards: run.shards.total.into(),
        quarantined: run.shards.quarantined.into(),
        seconds: spent,
        output: Some(Prefix::Visible(run.run.partition, run.run.generation).to_string()),
        ..Line::empty(run.run.partition, crate::view::state_name(run.state), Exit::Done)
    }
}

/// Prints the table, says what went wrong, and gives the exit code of all. `decisions` go with the
/// results for scripts.
///
/// # Errors
/// With exit code 75 if a signal ended the wait, with 69 if the coordinator was given up.
pub(crate) fn conclude(
    waited: Waited,
    address: &Address,
    output: Option<&str>,
    decisions: Option<&serde_json::Value>,
    format: OutputFormatArg,
    begun: Instant,
) -> Result<Exit, Failure> {
    let Waited { lines, ended } = waited;
    let seconds = begun.elapsed().as_secs_f64();
    if format == OutputFormatArg::Json {
        let (coordinator, dates) = (address.as_str(), &lines[..]);
        print_json(&Summary { coordinator, output, dates, seconds, decisions })?;
    } else {
        print(&render(output, &lines, seconds))?;
    }
    tell_troubles(&lines);
    let again = look_again(&lines, address);
    match ended {
        Ended::Decided => Ok(exit_of(&lines)),
        Ended::Interrupted => {
            let text = format_args!("stopped waiting; the runs go on; look again with: {again}");
            Err(Failure::new(Exit::Temporary, text))
        }
        Ended::GivenUp(error) => {
            let text = format_args!("{error}; what was started goes on; look again with: {again}");
            Err(Failure::new(error.exit(), text))
        }
    }
}

/// The command that shows what the wait would have shown.
fn look_again(lines: &[Line], address: &Address) -> String {
    let mut open = lines.iter().filter(|line| line.state == "open").map(|line| &line.run);
    match (open.next(), open.next()) {
        (Some(Some(run)), None) => {
            format!("nightshift status --coordinator {address} --watch {run}")
        }
        _ => format!("nightshift status --coordinator {address} --watch"),
    }
}

/// Whether what is wrong with one partition need not be wrong with the next.
pub(crate) fn of_one_date(exit: Exit) -> bool {
    matches!(exit, Exit::NoInput | Exit::Data)
}

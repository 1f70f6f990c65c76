//! `nightshift submit`: hand dates to a coordinator, and wait for them if asked.

use std::cell::Cell;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, RunId};
use nightshift_proto::limits::MESSAGE_MAX_CHARS;
use nightshift_proto::names::Requester;
use nightshift_proto::runs::get::GetRun;
use nightshift_proto::runs::start::{StartRun, StartedRun};
use nightshift_proto::runs::{Decision, SpecSource};
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use serde::Serialize;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, SubmitArgs};
use crate::coordinator::{Address, Coordinator, new_request, requester, say};
use crate::summary::Line;
use crate::table::{Align, Table, thousands};
use crate::view::{decided, decision_name, state_name};
use crate::waiting::{self, Awaited, Part, of_one_date};

mod dry_run;
pub(super) mod source;

/// Most starts that are under way at a time: planning is the coordinator's work, and more of it
/// at once makes none of it faster.
const STARTS_MAX: usize = 4;

/// A partition that was to be started.
#[derive(Debug)]
struct Asked {
    partition: Partition,
    /// What came of it.
    outcome: Result<Answer, Failure>,
}

/// What the coordinator made of one partition.
#[derive(Debug)]
struct Answer {
    /// What was asked, to be asked again if the coordinator forgets.
    wish: StartRun,
    started: StartedRun,
    /// `withheld` or `rejected`: it was done before, and readers do not see it.
    kept: Option<&'static str>,
}

impl Answer {
    fn decision(&self) -> &'static str {
        self.kept.unwrap_or_else(|| decision_name(self.started.decision))
    }
}

/// What is asked about each partition.
#[derive(Debug)]
struct Wish {
    source: SpecSource,
    forced: Option<String>,
    requested_by: Requester,
}

/// What became of one partition, for scripts.
#[derive(Debug, Serialize)]
struct Submitted<'a> {
    partition: Partition,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Everything that was submitted.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    coordinator: &'a str,
    output: &'a str,
    dates: Vec<Submitted<'a>>,
}

pub(crate) fn perform(runtime: &Handle, args: &SubmitArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let workspace = Workspace::open(&args.spec)?;
    let partitions = workspace.partitions(&args.dates)?;
    let output = workspace.output()?;
    let requested_by = requester()?;
    let forced = match (&args.reason, args.force) {
        (_, false) => None,
        (Some(reason), true) => Some(checked_reason(reason)?),
        (None, true) => Some(format!("nightshift submit --force by {requested_by}")),
    };
    let wish = Wish { source: source::read(&args.spec)?, forced, requested_by };
    let format = args.format.output_format;
    let address = args.coordinator.address()?;
    runtime.block_on(async {
        let coordinator = Coordinator::connect(
            &address,
            &args.coordinator.tls,
            args.coordinator.patience(args.wait),
        )?;
        if args.dry_run {
            let force = wish.forced.is_some();
            return dry_run::show(&coordinator, &wish.source, partitions, force, format).await;
        }
        let mut interrupt = Signals::listen()?;
        let asked = tokio::select! {
            asked = start_all(&coordinator, &wish, partitions) => asked,
            () = interrupt.received() => return Err(interrupted(&address)),
        };
        if !args.wait || fatal(&asked).is_some() {
            return tell(asked, &address, &output, format);
        }
        let quiet = format == OutputFormatArg::Json;
        if !quiet {
            announce(&asked);
        }
        let parts = asked.into_iter().map(part).collect();
        let waited = waiting::wait(&coordinator, parts, &mut interrupt, quiet).await;
        waiting::conclude(waited, &address, Some(&output), None, format, begun)
    })
}

/// A reason that the protocol takes.
pub(super) fn checked_reason(reason: &str) -> Result<String, Failure> {
    let text = reason.trim();
    if text.is_empty() || text.chars().count() > MESSAGE_MAX_CHARS {
        let text = format_args!("--reason takes 1 to {MESSAGE_MAX_CHARS} characters");
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(text.to_owned())
}

/// Starts every partition, a few at a time. What is wrong with one date's input does not keep the
/// others from being started; anything else does.
async fn start_all(
    coordinator: &Coordinator,
    wish: &Wish,
    partitions: Vec<Partition>,
) -> Vec<Asked> {
    let stopped = Cell::new(false);
    let several = partitions.len() > 1;
    let ask = async |partition| {
        if stopped.get() {
            return None;
        }
        let outcome = start(coordinator, wish, partition).await;
        if let Err(failure) = &outcome
            && !(several && of_one_date(failure.exit()))
        {
            stopped.set(true);
        }
        Some(Asked { partition, outcome })
    };
    let asked = stream::iter(partitions).map(ask).buffered(STARTS_MAX);
    asked.filter_map(async |asked| asked).boxed_local().collect().await
}

async fn start(
    coordinator: &Coordinator,
    wish: &Wish,
    partition: Partition,
) -> Result<Answer, Failure> {
    let start = StartRun {
        request: new_request()?,
        spec: wish.source.clone(),
        partition,
        forced: wish.forced.clone(),
        requested_by: wish.requested_by.clone(),
    };
    let started = coordinator.start(start.clone()).await?;
    let kept = match started.decision {
        Decision::Done => {
            let found = coordinator.get(GetRun::of(started.run.run.clone())).await?;
            found.verdict.as_ref().and_then(waiting::kept)
        }
        Decision::Join | Decision::Start => None,
    };
    Ok(Answer { wish: start, started, kept })
}

/// The failure that kept other dates from being started.
fn fatal(asked: &[Asked]) -> Option<&Failure> {
    let several = asked.len() > 1;
    asked
        .iter()
        .filter_map(|one| one.outcome.as_ref().err())
        .find(|failure| !(several && of_one_date(failure.exit())))
}

/// Says on standard error what is waited for: the table comes in the end.
fn announce(asked: &[Asked]) {
    for one in asked {
        if let Ok(answer) = &one.outcome {
            say(&format!("{}  {}", answer.started.run.run, answer.decision()));
        }
    }
}

fn part(asked: Asked) -> Part {
    match asked.outcome {
        Err(failure) => Part::Known(Box::new(Line::failed(asked.partition, &failure))),
        Ok(Answer { started, kept, .. }) if started.decision == Decision::Done => {
            Part::Known(Box::new(waiting::done(&started.run, kept)))
        }
        Ok(Answer { started, wish, .. }) => {
            Part::Awaited(Box::new(Awaited { run: started.run, wish: Some(wish) }))
        }
    }
}

/// Prints what was started, and ends as the first date that was not.
fn tell(
    asked: Vec<Asked>,
    address: &Address,
    output: &str,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    if format == OutputFormatArg::Json {
        let dates = asked.iter().map(submitted).collect();
        print_json(&Summary { coordinator: address.as_str(), output, dates })?;
    } else if asked.iter().any(|one| one.outcome.is_ok()) {
        print(&render(&asked))?;
        print(&format!("follow them with: nightshift status --coordinator {address} --watch\n"))?;
    }
    let mut failures: Vec<Failure> = asked.into_iter().filter_map(named).collect();
    // The one that ends the command is told last, by whoever ends it.
    let Some(last) = failures.pop() else { return Ok(Exit::Done) };
    let exit = failures.first().map_or(last.exit(), Failure::exit);
    for failure in &failures {
        failure.print();
    }
    Err(Failure::new(exit, last))
}

/// The failure of a partition, with its date.
fn named(asked: Asked) -> Option<Failure> {
    let failure = asked.outcome.err()?;
    let text = failure.to_string();
    Some(match asked.partition {
        Partition::Date(date) if !text.contains(&date.to_string()) => {
            Failure::new(failure.exit(), format_args!("{date}: {text}"))
        }
        _ => failure,
    })
}

fn submitted(asked: &Asked) -> Submitted<'_> {
    let answer = asked.outcome.as_ref().ok();
    let started = answer.map(|answer| &answer.started);
    Submitted {
        partition: asked.partition,
        run: started.map(|started| &started.run.run),
        decision: answer.map(Answer::decision),
        state: started.map(|started| state_name(started.run.state)),
        error: asked.outcome.as_ref().err().map(ToString::to_string),
    }
}

fn render(asked: &[Asked]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("date", Left),
        ("run", Left),
        ("decision", Left),
        ("state", Left),
        ("shards", Right),
    ]);
    for one in asked {
        let cells = match &one.outcome {
            Ok(answer) => {
                let run = &answer.started.run;
                let shards = if run.shards.total == 0 {
                    "-".to_owned()
                } else {
                    let [decided, total] = [decided(run), run.shards.total].map(u64::from);
                    format!("{}/{}", thousands(decided), thousands(total))
                };
                let decision = answer.decision().to_owned();
                [run.run.to_string(), decision, state_name(run.state).to_owned(), shards]
            }
            Err(_) => ["-", "refused", "-", "-"].map(str::to_owned),
        };
        table.row(std::iter::once(one.partition.to_string()).chain(cells));
    }
    table.render()
}

fn interrupted(address: &Address) -> Failure {
    Failure::new(
        Exit::Temporary,
        format_args!(
            "interrupted while starting; what was started goes on; look with: nightshift status --coordinator {address}"
        ),
    )
}

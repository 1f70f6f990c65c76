//! The same through a coordinator: it decides, and its workers work.

use std::time::Instant;

use nightshift_core::backfill::instruction::{NO_INPUT, UNKNOWN, UNREADABLE};
use nightshift_core::exit::Exit;
use nightshift_proto::limits::BACKFILL_DATES_MAX;
use nightshift_proto::runs::backfill::{BackfillRuns, DateDecision};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::Workspace;
use serde::Serialize;
use tokio::runtime::Handle;

use super::Wish;
use super::shown::{Decision, table};
use crate::args::{BackfillArgs, OutputFormatArg};
use crate::command::submit::source;
use crate::command::{print, print_json};
use crate::coordinator::{Address, Coordinator, new_request, requester};
use crate::waiting::{self, Awaited, Part};
use nightshift_telemetry::signals::Signals;

/// What the coordinator has decided, for scripts.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    coordinator: &'a str,
    output: &'a str,
    decisions: &'a [Decision],
}

/// Hands the dates to the coordinator at `address`, and waits for its runs if asked.
pub(super) fn perform(
    runtime: &Handle,
    args: &BackfillArgs,
    workspace: &Workspace,
    wish: Wish,
    address: &Address,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    if wish.dates.len() > BACKFILL_DATES_MAX as usize {
        let text = format_args!(
            "a coordinator takes at most {BACKFILL_DATES_MAX} dates at once; make the window smaller"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let output = workspace.output()?;
    let named = wish.named;
    let wish = BackfillRuns {
        request: new_request()?,
        spec: source::read(&args.spec)?,
        partitions: wish.dates,
        dates_max: u32::try_from(wish.dates_max).unwrap_or(BACKFILL_DATES_MAX),
        order: wish.order,
        reprocess: wish.rules.reprocess,
        forced: wish.forced,
        dry_run: args.dry_run,
        requested_by: requester()?,
    };
    let format = args.format.output_format;
    let quiet = format == OutputFormatArg::Json;
    runtime.block_on(async {
        let patience = args.coordinator.patience(args.wait);
        let coordinator = Coordinator::connect(address, &args.coordinator.tls, patience)?;
        let dates = coordinator.backfill(wish).await?.dates;
        let decisions: Vec<Decision> = dates.iter().map(Decision::from).collect();
        let waits = args.wait && dates.iter().any(|date| date.run.is_some());
        if !waits {
            return tell(&decisions, &dates, address, &output, quiet).map(|()| exit(&dates, named));
        }
        if !quiet {
            print(&table(&decisions))?;
        }
        let mut interrupt = Signals::listen()?;
        let awaited = dates.iter().filter_map(|date| date.run.clone());
        let part = |run| Part::Awaited(Box::new(Awaited { run, wish: None }));
        let parts = awaited.map(part).collect();
        let waited = waiting::wait(&coordinator, parts, &mut interrupt, quiet).await;
        let decisions = serde_json::to_value(&decisions).ok();
        let decisions = decisions.as_ref();
        match waiting::conclude(waited, address, Some(&output), decisions, format, begun)? {
            Exit::Done => Ok(exit(&dates, named)),
            exit => Ok(exit),
        }
    })
}

fn tell(
    decisions: &[Decision],
    dates: &[DateDecision],
    address: &Address,
    output: &str,
    quiet: bool,
) -> Result<(), Failure> {
    if quiet {
        return print_json(&Summary { coordinator: address.as_str(), output, decisions });
    }
    print(&table(decisions))?;
    let runs: Vec<String> =
        dates.iter().filter_map(|date| Some(date.run.as_ref()?.run.to_string())).collect();
    if runs.is_empty() {
        return Ok(());
    }
    let text = format!(
        "\n{}\nfollow them with: nightshift status --coordinator {address} --watch\n",
        runs.join("\n")
    );
    print(&text)
}

/// What the decisions alone make of the exit code, as in one process.
fn exit(dates: &[DateDecision], named: bool) -> Exit {
    let any = |state: &str| dates.iter().any(|date| date.state == state);
    match () {
        () if any(UNKNOWN) => Exit::Unavailable,
        () if any(UNREADABLE) => Exit::Data,
        () if named && any(NO_INPUT) => Exit::NoInput,
        () => Exit::Done,
    }
}

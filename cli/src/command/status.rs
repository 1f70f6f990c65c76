//! `nightshift status`: of the dates in an output, or of the runs of a coordinator.

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, RunId};
use nightshift_proto::runs::get::GetRun;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use tokio::runtime::Handle;

use super::{print, print_json};
use crate::args::{OutputFormatArg, StatusArgs};
use crate::coordinator::{Address, Coordinator};
use crate::view::RunView;
use crate::waiting::{self, Awaited, Part};

mod dates;
pub(super) mod runs;
mod watching;

/// Where the answer is.
enum Place<'a> {
    /// In the output of this spec.
    Output(&'a str),
    /// With the coordinator: one run, or all of them.
    Coordinator(Option<RunId>),
}

pub(crate) fn perform(runtime: &Handle, args: &StatusArgs) -> Result<Exit, Failure> {
    let format = args.format.output_format;
    match place(args)? {
        Place::Output(spec) => dates::perform(runtime, &args.spec_args(spec), &args.dates, format),
        Place::Coordinator(run) => {
            let address = args.coordinator.address()?;
            runtime.block_on(async {
                let coordinator = Coordinator::connect(
                    &address,
                    &args.coordinator.tls,
                    args.coordinator.patience(args.watch),
                )?;
                match run {
                    Some(run) if args.watch => watch_one(&coordinator, run, format).await,
                    Some(run) => show_one(&coordinator, run, format).await,
                    None => {
                        let wanted = wanted(args)?;
                        if args.watch {
                            watching::perform(&coordinator, &wanted, format).await
                        } else {
                            runs::perform(&coordinator, &wanted, format).await
                        }
                    }
                }
            })
        }
    }
}

/// A run id is no file name that anybody gives to a spec, so the one word says what is meant.
fn place(args: &StatusArgs) -> Result<Place<'_>, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let Some(target) = args.target.as_deref() else { return Ok(Place::Coordinator(None)) };
    if let Ok(run) = target.parse::<RunId>() {
        if args.unfinished || args.name.is_some() {
            let text = format!("{target} is one run; leave out --unfinished and --name");
            return Err(usage(text));
        }
        return Ok(Place::Coordinator(Some(run)));
    }
    let shown: String = target.chars().take(80).collect();
    for (given, flag) in [
        (args.coordinator.coordinator.is_some(), "--coordinator"),
        (args.watch, "--watch"),
        (args.unfinished, "--unfinished"),
        (args.name.is_some(), "--name"),
    ] {
        if given {
            return Err(usage(format!(
                "{flag} asks a coordinator, which knows runs, and `{shown}` is no run id such as flights-2013-01-31-g1; name a run or nothing, or leave out {flag} to look into the output of a spec"
            )));
        }
    }
    let is_bare = !target.contains(['/', '.']);
    if is_bare && !Path::new(target).exists() {
        return Err(Failure::new(
            Exit::NoInput,
            format_args!(
                "`{shown}` is neither a spec file nor a run id such as flights-2013-01-31-g1; `nightshift status` lists the runs of the coordinator"
            ),
        ));
    }
    Ok(Place::Output(target))
}

/// Which runs are asked for. A coordinator has no time zone of its own, so its today is UTC's.
fn wanted(args: &StatusArgs) -> Result<runs::Wanted, Failure> {
    if args.dates.dates.is_some() {
        let text = "--dates looks into the output of a spec; ask a coordinator for one --date";
        return Err(Failure::new(Exit::Usage, text));
    }
    let date = args.dates.date.map(|date| date.at(Timestamp::now(), &TimeZone::UTC));
    Ok(runs::Wanted {
        name: args.name.clone(),
        partition: date.map(Partition::Date),
        unfinished: args.unfinished,
        limit: args.limit,
    })
}

async fn show_one(
    coordinator: &Coordinator,
    run: RunId,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let found = coordinator.get(GetRun::of(run)).await?.run;
    if format == OutputFormatArg::Json {
        print_json(&RunView::from(&found))?;
    } else {
        print(&runs::render(std::slice::from_ref(&found), Timestamp::now()))?;
    }
    Ok(Exit::Done)
}

/// Follows a run to its verdict; whoever stops looking is content.
async fn watch_one(
    coordinator: &Coordinator,
    run: RunId,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let mut interrupt = Signals::listen()?;
    let found = tokio::select! {
        found = coordinator.get(GetRun::of(run)) => found?,
        () = interrupt.received() => return Ok(Exit::Done),
    };
    let part = Part::Awaited(Box::new(Awaited { run: found.run, wish: None }));
    let quiet = format == OutputFormatArg::Json;
    let waited = waiting::wait(coordinator, vec![part], &mut interrupt, quiet).await;
    if waited.is_interrupted() {
        return Ok(Exit::Done);
    }
    let address: &Address = coordinator.address();
    waiting::conclude(waited, address, None, None, format, begun)
}

//! `nightshift status --watch`: the runs of a coordinator, again and again.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};
use nightshift_core::exit::Exit;
use nightshift_core::ids::RunId;
use nightshift_proto::runs::get::GetRun;
use nightshift_proto::runs::status::RunStatus;
use nightshift_telemetry::signals::Signals;
use nightshift_worker::front::failure::Failure;
use tokio::time::Instant;

use super::runs::{Found, Wanted, fetch, text};
use crate::args::OutputFormatArg;
use crate::command::print_while_read;
use crate::coordinator::{Coordinator, say};
use crate::progress::runs::{change, is_news};
use crate::progress::style;
use crate::span;
use crate::view::RunView;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take before the watcher is told that it is missing.
const STALE: Duration = Duration::from_secs(3);

/// Where the runs are shown.
enum Screen {
    /// A table on a terminal, drawn again and again.
    Drawn(ProgressBar),
    /// A line, or a JSON object on one line, for each change.
    Lines { json: bool, last: BTreeMap<RunId, RunStatus> },
}

pub(super) async fn perform(
    coordinator: &Coordinator,
    wanted: &Wanted,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    coordinator.be_quiet();
    let mut interrupt = Signals::listen()?;
    let json = format == OutputFormatArg::Json;
    let mut screen = if std::io::stdout().is_terminal() && !json {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout());
        Screen::Drawn(bar.with_style(style("{msg}")))
    } else {
        Screen::Lines { json, last: BTreeMap::new() }
    };
    let ended = tokio::select! {
        ended = show_all(coordinator, wanted, &mut screen) => ended.map(|()| Exit::Done),
        () = interrupt.received() => Ok(Exit::Done),
    };
    if let Screen::Drawn(bar) = &screen {
        // The last table stays.
        bar.abandon();
    }
    ended
}

/// Looks until nobody reads any more.
async fn show_all(
    coordinator: &Coordinator,
    wanted: &Wanted,
    screen: &mut Screen,
) -> Result<(), Failure> {
    loop {
        let found = look(coordinator, wanted, screen).await?;
        if !screen.show(coordinator, wanted, found).await? {
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// One look; whoever watches is told when it takes long.
async fn look(
    coordinator: &Coordinator,
    wanted: &Wanted,
    screen: &Screen,
) -> Result<Found, Failure> {
    let begun = Instant::now();
    let mut fetched = std::pin::pin!(fetch(coordinator, wanted));
    let mut told = false;
    loop {
        tokio::select! {
            found = &mut fetched => return Ok(found?),
            () = tokio::time::sleep(STALE) => {
                let waited = span::words(begun.elapsed());
                let text = format!("no answer from the coordinator for {waited}; asking on");
                match screen {
                    Screen::Drawn(bar) => bar.set_message(text),
                    Screen::Lines { .. } if !told => say(&text),
                    Screen::Lines { .. } => {}
                }
                told = true;
            }
        }
    }
}

impl Screen {
    /// Shows what was found; false if nobody reads it any more.
    async fn show(
        &mut self,
        coordinator: &Coordinator,
        wanted: &Wanted,
        found: Found,
    ) -> Result<bool, Failure> {
        let (json, last) = match self {
            Self::Drawn(bar) => {
                bar.set_message(text(coordinator, wanted, &found).trim_end().to_owned());
                return Ok(true);
            }
            Self::Lines { json, last } => (*json, last),
        };
        let mut before = std::mem::take(last);
        let mut news = Vec::new();
        // Oldest first, as things happened.
        for run in found.runs.into_iter().rev() {
            if before.remove(&run.run).is_none_or(|before| is_news(&before, &run)) {
                news.push(line(&run, json)?);
            }
            last.insert(run.run.clone(), run);
        }
        // A run that is not listed any more may have its verdict.
        for gone in before.into_values().filter(|run| run.state.verdict().is_none()) {
            match coordinator.get(GetRun::of(gone.run)).await {
                Ok(found) if found.run.state.verdict().is_some() => {
                    news.push(line(&found.run, json)?);
                }
                Ok(_) => {}
                Err(error) if error.is_refusal() => {}
                Err(error) => return Err(error.into()),
            }
        }
        print_while_read(&news.concat())
    }
}

fn line(run: &RunStatus, json: bool) -> Result<String, Failure> {
    let text = if json {
        serde_json::to_string(&RunView::from(run))
            .map_err(|error| Failure::new(Exit::Software, format_args!("no JSON: {error}")))?
    } else {
        change(run)
    };
    Ok(text + "\n")
}

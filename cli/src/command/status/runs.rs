//! `nightshift status` without a spec: the runs of a coordinator.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_core::ids::{Partition, SpecName};
use nightshift_proto::limits::PAGE_MAX;
use nightshift_proto::runs::list::ListRuns;
use nightshift_proto::runs::status::RunStatus;
use nightshift_worker::front::failure::Failure;

use crate::args::OutputFormatArg;
use crate::command::{print, print_json};
use crate::coordinator::{CallError, Coordinator};
use crate::table::{Align, Table, thousands};
use crate::view::{RunView, decided, state_name};
use crate::{prose, span};

/// Which runs are asked for.
#[derive(Debug, Clone)]
pub(in crate::command) struct Wanted {
    pub(in crate::command) name: Option<SpecName>,
    pub(in crate::command) partition: Option<Partition>,
    pub(in crate::command) unfinished: bool,
    /// Most runs, the newest.
    pub(in crate::command) limit: u32,
}

/// Runs, newest first.
#[derive(Debug)]
pub(in crate::command) struct Found {
    pub(in crate::command) runs: Vec<RunStatus>,
    /// Whether there are more than were asked for.
    pub(in crate::command) more: bool,
}

pub(super) async fn perform(
    coordinator: &Coordinator,
    wanted: &Wanted,
    format: OutputFormatArg,
) -> Result<Exit, Failure> {
    let found = fetch(coordinator, wanted).await?;
    if format == OutputFormatArg::Json {
        print_json(&found.runs.iter().map(RunView::from).collect::<Vec<_>>())?;
    } else {
        print(&text(coordinator, wanted, &found))?;
    }
    Ok(Exit::Done)
}

/// Reads page after page until there are enough.
pub(in crate::command) async fn fetch(
    coordinator: &Coordinator,
    wanted: &Wanted,
) -> Result<Found, CallError> {
    let limit = wanted.limit as usize;
    let mut runs = Vec::new();
    let mut page = None;
    loop {
        let left = limit.saturating_sub(runs.len());
        let list = ListRuns {
            name: wanted.name.clone(),
            partition: wanted.partition,
            unfinished: wanted.unfinished,
            page_size: u32::try_from(left).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX),
            page,
        };
        let read = coordinator.list(list).await?;
        // A page without runs that names another one would go on for ever.
        let empty = read.runs.is_empty();
        runs.extend(read.runs.into_iter().take(left));
        match read.next {
            Some(next) if !empty && runs.len() < limit => page = Some(next),
            next => return Ok(Found { runs, more: next.is_some() && !empty }),
        }
    }
}

/// What is printed for people.
pub(super) fn text(coordinator: &Coordinator, wanted: &Wanted, found: &Found) -> String {
    if found.runs.is_empty() {
        let address = coordinator.address();
        let all = wanted.name.is_none() && wanted.partition.is_none() && !wanted.unfinished;
        return if all {
            format!("the coordinator at {address} has no runs; nightshift submit starts one\n")
        } else {
            format!("the coordinator at {address} has no such runs\n")
        };
    }
    let mut text = render(&found.runs, Timestamp::now());
    if found.more {
        let count = thousands(found.runs.len() as u64);
        text.push_str(&format!("the newest {count}; --limit shows more\n"));
    }
    text
}

/// The table, and below it what the runs have to say.
pub(super) fn render(runs: &[RunStatus], now: Timestamp) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("run", Left),
        ("state", Left),
        ("shards", Right),
        ("rows", Right),
        ("rejects", Right),
        ("workers", Right),
        ("age", Right),
    ]);
    for run in runs {
        table.row([
            run.run.to_string(),
            state_name(run.state).to_owned(),
            format!("{}/{}", decided(run), run.shards.total),
            short_count(run.rows.out),
            short_count(run.rows.rejected),
            run.workers.to_string(),
            run.planned_at.map_or_else(|| "-".to_owned(), |planned| span::short(age(planned, now))),
        ]);
    }
    let mut text = table.render();
    for run in runs {
        let notice = prose::one_line(&run.notice);
        if !notice.is_empty() {
            text.push_str(&prose::wrap(&format!("{}: {notice}", run.run), prose::WIDTH));
        }
    }
    text
}

/// How long ago; nothing if the other clock is ahead.
fn age(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(moment)).unwrap_or_default()
}

/// A count in at most seven characters.
fn short_count(count: u64) -> String {
    let in_units = |unit: f64, name: &str| {
        let value = count as f64 / unit;
        if value < 100.0 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
    };
    // Where a unit begins, the number of the one before would be written with four digits.
    match count {
        0..1_000_000 => thousands(count),
        1_000_000..999_500_000 => in_units(1e6, "M"),
        999_500_000..999_500_000_000 => in_units(1e9, "G"),
        999_500_000_000.. => in_units(1e12, "T"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        for (count, text) in [
            (0, "0"),
            (999_999, "999,999"),
            (1_000_000, "1.0M"),
            (12_345_678, "12.3M"),
            (999_499_999, "999M"),
            (999_500_000, "1.0G"),
            (999_500_000_000, "1.0T"),
        ] {
            assert_eq!(short_count(count), text);
        }
        assert!(short_count(u64::MAX).len() <= 10);
    }
}

//! The selected run: its shards, its workers, its troubles.

use std::time::Duration;

use nightshift_core::figures::thousands;
use nightshift_proto::leases::Phase;
use nightshift_proto::runs::get::{FoundRun, ShardStatus};
use nightshift_proto::runs::status::{RunStatus, ShardCounts};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Palette;
use crate::command::top::model::{Model, Page};
use crate::command::top::words;
use crate::view::state_name;
use crate::{prose, span};

/// Most workers beside the runs; the page of the run alone has all that are known.
const WORKERS_SHOWN: usize = 4;
/// Most lines of one trouble beside the runs.
const LINES_SHOWN: usize = 2;
/// Characters of a worker's name.
const WORKER_WIDTH: usize = 30;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let Some(found) = model.details() else {
        let text = if model.selected().is_some() { "looking closer" } else { "" };
        frame.render_widget(Line::styled(text, palette.dim()), area);
        return;
    };
    let alone = model.page == Page::Details;
    let width = usize::from(area.width).max(1);
    let mut lines = opening(model, found, palette, width);
    lines.extend(workers(model, found, palette, alone));
    let bound = if alone { usize::MAX } else { LINES_SHOWN };
    for trouble in troubles(found) {
        let wrapped = prose::wrap(&trouble, width);
        let all = wrapped.lines().count();
        for (at, line) in wrapped.lines().take(bound).enumerate() {
            let more = if at + 1 == bound && all > bound { " …" } else { "" };
            lines.push(Line::styled(format!("{line}{more}"), palette.doubtful()));
        }
    }
    let lines = lines.into_iter().take(area.height.into()).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(lines), area);
}

fn opening(model: &Model, found: &FoundRun, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let run = &found.run;
    let mut title = format!("{}  {}", run.run, state_name(run.state));
    if let Some(planned) = run.planned_at {
        match run.decided_at {
            Some(decided) => {
                title
                    .push_str(&format!(" after {}", span::short(words::between(planned, decided))));
            }
            None => title.push_str(&format!(
                ", planned {} ago",
                span::short(words::between(planned, model.now))
            )),
        }
    }
    if run.epoch > 0 {
        title.push_str(&format!(", epoch {}", run.epoch));
    }
    let mut lines = vec![Line::styled(title, palette.bold())];
    for text in [shards(&run.shards), rows(run)] {
        lines.extend(prose::wrap(&text, width).lines().map(|line| Line::raw(line.to_owned())));
    }
    lines
}

fn shards(shards: &ShardCounts) -> String {
    let ShardCounts { total, committed, quarantined, leased, delayed, ready } = *shards;
    let parts = [
        (committed, "committed"),
        (quarantined, "given up"),
        (leased, "leased"),
        (delayed, "delayed"),
        (ready, "free"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> =
        parts.map(|(count, what)| format!("{} {what}", thousands(count.into()))).collect();
    let of = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("shards {}{of}", thousands(total.into()))
}

fn rows(run: &RunStatus) -> String {
    let rows = run.rows;
    let mut text = format!("rows {}: {} written", thousands(rows.planned), thousands(rows.out));
    for (count, what) in [
        (rows.rejected, "rejected"),
        (rows.quarantined, "given up"),
        (rows.under_way, "being read"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {what}", thousands(count)));
        }
    }
    text
}

/// One line for each lease that is out.
fn workers(model: &Model, found: &FoundRun, palette: Palette, alone: bool) -> Vec<Line<'static>> {
    let open = found.open_shards.iter();
    let held: Vec<_> =
        open.flat_map(|shard| shard.leases.iter().map(move |it| (shard, it))).collect();
    if held.is_empty() {
        return Vec::new();
    }
    let title = format!(
        "{:<WORKER_WIDTH$} {:>6} {:<8} {:>11} {:>6} {:>5} {:>5}",
        "worker", "shard", "does", "rows", "rows/s", "held", "heard"
    );
    let mut lines = vec![Line::styled(title, palette.bold())];
    let shown = if alone { held.len() } else { WORKERS_SHOWN.min(held.len()) };
    for (shard, lease) in held.iter().take(shown) {
        let does = match lease.phase {
            Phase::Waiting => "waits",
            Phase::Scoring => "scores",
            Phase::Committing => "commits",
        };
        let short = |ms: u64| span::short(Duration::from_millis(ms));
        let rows =
            format!("{}/{}", words::short_count(lease.rows_done), words::short_count(shard.rows));
        let worker = prose::cut(&prose::harmless(lease.worker.as_str()), WORKER_WIDTH);
        lines.push(Line::from(vec![Span::raw(format!(
            "{worker:<WORKER_WIDTH$} {:>6} {does:<8} {rows:>11} {:>6} {:>5} {:>5}",
            shard.shard.0,
            words::rate(model.lease_rate(lease.token)),
            short(lease.age_ms),
            short(lease.heard_ms),
        ))]));
    }
    let rest = (found.run.shards.leased as usize).max(held.len()).saturating_sub(shown);
    if rest > 0 {
        lines.push(Line::styled(format!("and {} more", thousands(rest as u64)), palette.dim()));
    }
    lines
}

/// What is wrong, in words: what the coordinator says, shards that were given up, shards that
/// wait after a failure.
fn troubles(found: &FoundRun) -> Vec<String> {
    let mut texts = Vec::new();
    let notice = prose::one_line(&found.run.notice);
    if !notice.is_empty() {
        texts.push(format!("! {notice}"));
    }
    if let Some(verdict) = &found.verdict
        && verdict.judged.is_none()
        && !verdict.withheld.is_empty()
    {
        texts
            .push(format!("! a gate withholds the output: {}", prose::one_line(&verdict.withheld)));
    }
    texts.extend(found.quarantined.iter().map(|one| {
        let what = prose::one_line(&format!("{}: {}", one.reason, one.message));
        format!("! shard {} was given up ({}): {what}", one.shard, one.class.as_str())
    }));
    texts.extend(found.open_shards.iter().filter_map(last_failure));
    texts
}

fn last_failure(shard: &ShardStatus) -> Option<String> {
    let failure = shard.last_failure.as_ref()?;
    let what = prose::one_line(&format!("{}: {}", failure.reason, failure.message));
    let class = failure.class.as_str();
    let failed = shard.failed_attempts.saturating_sub(shard.preempted_attempts);
    Some(format!("! shard {} failed {failed} times, lastly ({class}): {what}", shard.shard))
}

//! Progress of runs elsewhere: a bar for each that is under way, or a line for each change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use nightshift_core::ids::RunId;
use nightshift_proto::runs::status::{RunState, RunStatus};

use super::style;
use crate::coordinator::Sight;
use crate::prose;
use crate::table::{rate, thousands};
use crate::view::{decided, state_name};

/// Most runs that have a bar at a time, so that the total stays on the screen.
const BARS_MAX: usize = 6;
/// Parts of a run whose end is worth a line where there are no bars.
const STEPS: u64 = 10;
/// Longest notice beside a bar, in characters; `status` and `why` have all of it.
const NOTICE_MAX: usize = 40;

/// Progress of a command that waits for runs. It belongs to one task.
pub(crate) struct RunsProgress {
    bars: MultiProgress,
    total: ProgressBar,
    lines: bool,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    runs: BTreeMap<RunId, Shown>,
    silent: bool,
}

struct Shown {
    run: RunStatus,
    /// When rows were counted first, and how many: those before are nobody's speed.
    since: Option<(Instant, u64)>,
    bar: Option<ProgressBar>,
}

impl RunsProgress {
    /// Progress over `count` runs. `quiet` shows nothing at all.
    pub(crate) fn new(count: usize, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let total = bars
            .add(ProgressBar::new(count as u64).with_style(style(
                "{prefix:<12} {bar:24.cyan} {pos}/{len} runs  {elapsed}  {msg}",
            )));
        total.set_prefix("runs");
        total.enable_steady_tick(Duration::from_millis(500));
        Self { bars, total, lines: !terminal && !quiet, seen: RefCell::default() }
    }

    /// How long the eye is content between two looks.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(if self.lines { 1_000 } else { 250 })
    }

    /// Shows a sight of `run`.
    pub(crate) fn show(&self, run: &RunId, sight: Sight<'_>) {
        let mut seen = self.seen.borrow_mut();
        match sight {
            Sight::Run(status) => {
                if std::mem::take(&mut seen.silent) {
                    self.total.set_message("");
                    self.line("the coordinator answers again");
                }
                self.show_run(&mut seen, status);
            }
            Sight::Nothing { reason } => {
                let reason = prose::one_line(reason);
                self.total.set_message(prose::cut(&format!("no answer: {reason}"), NOTICE_MAX));
                if !std::mem::replace(&mut seen.silent, true) {
                    self.line(&format!(
                        "{run}  no answer from the coordinator: {reason}; asking on"
                    ));
                }
            }
        }
    }

    /// How `run` was seen last.
    pub(crate) fn last(&self, run: &RunId) -> Option<RunStatus> {
        self.seen.borrow().runs.get(run).map(|shown| shown.run.clone())
    }

    /// `run` has ended, in the words of `line`.
    pub(crate) fn end(&self, run: &RunId, line: &str) {
        let mut seen = self.seen.borrow_mut();
        if let Some(bar) = seen.runs.remove(run).and_then(|shown| shown.bar) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.total.inc(1);
        self.line(line);
    }

    /// Nothing more will be shown; the bars disappear.
    pub(crate) fn finish(&self) {
        for shown in self.seen.borrow().runs.values() {
            if let Some(bar) = &shown.bar {
                bar.finish_and_clear();
            }
        }
        self.total.finish_and_clear();
    }

    fn show_run(&self, seen: &mut Seen, run: &RunStatus) {
        let before = seen.runs.remove(&run.run);
        if before.as_ref().is_none_or(|before| is_news(&before.run, run)) {
            self.line(&change(run));
        }
        let free = seen.runs.values().filter(|shown| shown.bar.is_some()).count() < BARS_MAX;
        let (before, since) = before.map_or((None, None), |shown| (shown.bar, shown.since));
        let bar = match before {
            Some(bar) => Some(bar),
            None if free && !self.lines => Some(self.bar(run)),
            None => None,
        };
        let rows = counted(run);
        let since = since.or_else(|| (rows > 0).then(|| (Instant::now(), rows)));
        if let Some(bar) = &bar {
            draw(bar, run, since);
        }
        seen.runs.insert(run.run.clone(), Shown { run: run.clone(), since, bar });
    }

    fn bar(&self, run: &RunStatus) -> ProgressBar {
        let bar = ProgressBar::new(0).with_style(style("{prefix:<12} {msg}"));
        let bar = self.bars.insert_before(&self.total, bar);
        bar.set_prefix(run.run.partition.to_string());
        bar
    }

    fn line(&self, line: &str) {
        if self.lines {
            // Progress is a courtesy: a closed standard error stops nothing.
            let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn draw(bar: &ProgressBar, run: &RunStatus, since: Option<(Instant, u64)>) {
    if bar.length() == Some(0) && run.rows.planned > 0 {
        bar.set_style(style("{prefix:<12} {bar:24.green} {human_pos}/{human_len} rows  {msg}"));
    }
    bar.set_length(run.rows.planned);
    let rows = counted(run);
    bar.set_position(rows);
    let notice = prose::one_line(&run.notice);
    let message = match run.state {
        RunState::Running if notice.is_empty() => {
            let spent = since.map_or(0.0, |(since, _)| since.elapsed().as_secs_f64());
            let scored = since.map_or(0, |(_, before)| rows.saturating_sub(before));
            format!(
                "{} rows/s  {}",
                rate(scored, spent),
                counted_words(run.workers.into(), "worker")
            )
        }
        state if notice.is_empty() => state_name(state).to_owned(),
        state => format!("{}: {notice}", state_name(state)),
    };
    bar.set_message(prose::cut(&message, NOTICE_MAX));
}

/// Rows that are decided or read.
pub(crate) fn counted(run: &RunStatus) -> u64 {
    let rows = run.rows;
    let more = [rows.rejected, rows.quarantined, rows.under_way];
    more.into_iter().fold(rows.out, u64::saturating_add)
}

/// A count with its noun.
fn counted_words(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

/// Whether what has changed is worth a line.
pub(crate) fn is_news(before: &RunStatus, now: &RunStatus) -> bool {
    let step =
        |run: &RunStatus| u64::from(decided(run)) * STEPS / u64::from(run.shards.total).max(1);
    before.state != now.state
        || before.notice != now.notice
        || before.shards.quarantined != now.shards.quarantined
        || step(before) != step(now)
}

/// How a run goes, on one line.
pub(crate) fn change(run: &RunStatus) -> String {
    let mut line = format!("{}  {}", run.run, state_name(run.state));
    if run.shards.total > 0 {
        line.push_str(&format!(
            "  {}/{} shards, {} rows",
            thousands(decided(run).into()),
            thousands(run.shards.total.into()),
            thousands(run.rows.out)
        ));
    }
    for (count, what) in
        [(run.rows.rejected, "rejected"), (run.shards.quarantined.into(), "given up")]
    {
        if count > 0 {
            line.push_str(&format!(", {} {what}", thousands(count)));
        }
    }
    if run.workers > 0 {
        line.push_str(&format!(", {}", counted_words(run.workers.into(), "worker")));
    }
    let notice = prose::one_line(&run.notice);
    if !notice.is_empty() {
        line.push_str(&format!("  {notice}"));
    }
    line
}

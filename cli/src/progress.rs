//! Progress for people: bars on a terminal, a line for each date elsewhere.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::Plan;
use nightshift_core::record::Record;
use nightshift_worker::pool::Observer;

use crate::table::thousands;

pub(crate) mod runs;

/// Bars for the dates of a command and for the rows of the current one.
pub(crate) struct Progress {
    bars: MultiProgress,
    dates: ProgressBar,
    rows: Mutex<ProgressBar>,
    lines: bool,
}

impl Progress {
    /// Progress over `dates` partitions. `quiet` shows nothing at all.
    pub(crate) fn new(dates: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        let total = bars.add(
            ProgressBar::new(dates)
                .with_style(style("{prefix:<12} {bar:24.cyan} {pos}/{len} dates  {elapsed}")),
        );
        total.set_prefix("dates");
        Self {
            bars,
            dates: total,
            rows: Mutex::new(ProgressBar::hidden()),
            lines: !terminal && !quiet,
        }
    }

    /// A partition begins; its rows are known once it is planned.
    pub(crate) fn begin(&self, partition: &str) {
        let bar = self.bars.insert_before(
            &self.dates,
            ProgressBar::new(0).with_style(style("{prefix:<12} planning")),
        );
        bar.set_prefix(partition.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.dates.tick();
        self.replace(bar);
    }

    /// A partition has ended, in the words of `line`.
    pub(crate) fn end(&self, line: &str) {
        self.replace(ProgressBar::hidden());
        self.dates.inc(1);
        if self.lines {
            // Progress is a courtesy: a closed standard error stops nothing.
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
        }
    }

    /// Everything has ended; the bars disappear.
    pub(crate) fn finish(&self) {
        self.replace(ProgressBar::hidden());
        self.dates.finish_and_clear();
    }

    fn replace(&self, bar: ProgressBar) {
        let mut rows = self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rows.finish_and_clear();
        *rows = bar;
    }

    fn with_rows(&self, update: impl FnOnce(&ProgressBar)) {
        update(&self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Observer for Progress {
    fn planned(&self, plan: &Plan, done: u64) {
        self.with_rows(|bar| {
            bar.set_style(style(
                "{prefix:<12} {bar:24.green} {human_pos}/{human_len} rows  {rate}  {msg}",
            ));
            bar.set_length(plan.rows);
            bar.set_position(done);
        });
    }

    fn started(&self, shard: ShardIndex) {
        self.with_rows(|bar| bar.set_message(format!("shard {shard}")));
    }

    fn scored(&self, rows: u64) {
        self.with_rows(|bar| bar.inc(rows));
    }

    fn decided(&self, record: &Record, won: bool) {
        if !won && let Some(committed) = record.committed() {
            // Another process did it; it counts as progress all the same.
            self.with_rows(|bar| bar.inc(committed.rows_in));
        }
    }
}

pub(crate) fn style(template: &str) -> ProgressStyle {
    // The templates are constants; one that does not parse falls back to the default look.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is no reason to fail.
            let _ = write!(out, "{} rows/s", thousands(state.per_sec() as u64));
        })
        .progress_chars("━╸─")
}

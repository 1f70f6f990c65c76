//! What only the records of a run tell: how long its shards took, and what was wasted.
//!
//! Records come one at a time and are not kept, so a run of a million shards needs a few
//! megabytes. Shards are drawn as at most [`BARS_MAX`] bars; beyond that neighbours share one.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Report;
use crate::ids::ShardIndex;
use crate::plan::Planned;
use crate::record::{Record, Verdict};

/// Most bars of a chart: what a page of paper shows without blur.
pub const BARS_MAX: u32 = 120;
/// Slowest shards that are named.
pub const SLOWEST_SHOWN: usize = 5;
/// Workers that are told apart; a run with more is said to have at least as many.
const WORKERS_MAX: usize = 10_000;

/// `report.json`: the [`Report`], and what the records add to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FullReport {
    /// What follows from plan and final.
    #[serde(flatten)]
    pub report: Report,
    /// Seconds from the plan to the last decided shard.
    pub elapsed_s: f64,
    /// Workers that committed a shard in this run.
    pub workers: u64,
    /// Rows whose text was longer than the model takes, and was cut.
    pub rows_cut: u64,
    /// What the seconds of worker threads were spent on.
    pub effort: Effort,
    /// How long shards took.
    pub shards: ShardTimes,
}

/// What the seconds of worker threads were spent on. Shards that were taken over from an earlier
/// generation cost this run nothing and are left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Effort {
    /// Reading, scoring and writing in the attempts that count.
    pub useful_s: f64,
    /// Attempts that came to nothing.
    pub retry_s: f64,
    /// Loading the model.
    pub load_s: f64,
    /// Waiting for a shard.
    pub idle_s: f64,
    /// Shards whose worker kept account of the last three.
    pub accounted: u64,
}

/// How long the shards of a run took.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ShardTimes {
    /// Shards that were scored in this run.
    pub scored: u64,
    /// Half of them took no longer.
    pub median_s: f64,
    /// 95 of 100 took no longer.
    pub p95_s: f64,
    /// None took longer.
    pub longest_s: f64,
    /// Those that took longest, longest first.
    pub slowest: Vec<SlowShard>,
    /// Shards that share a bar; 1 where each has its own.
    pub shards_per_bar: u32,
    /// The chart, in the order of the shards.
    pub bars: Vec<Bar>,
}

/// One of the shards that took longest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowShard {
    /// The shard.
    pub shard: ShardIndex,
    /// Seconds that it took.
    pub seconds: f64,
    /// Its rows.
    pub rows: u64,
    /// Who scored it.
    pub worker: String,
}

/// One bar of the chart: a shard, or several neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bar {
    /// The first of its shards.
    pub first: u32,
    /// Its shards that were scored in this run.
    pub scored: u32,
    /// Its shards that were taken over from an earlier generation.
    pub inherited: u32,
    /// Its shards that were given up.
    pub quarantined: u32,
    /// Seconds that the scored ones spent reading, all together.
    pub read_s: f64,
    /// In the model.
    pub infer_s: f64,
    /// Writing.
    pub write_s: f64,
    /// The longest of them.
    pub longest_s: f64,
}

/// A [`FullReport`] in the making.
#[derive(Debug)]
pub struct Study<'p, P> {
    plan: &'p P,
    shards_per_bar: u32,
    bars: Vec<Bar>,
    /// Seconds of each scored shard; four bytes each, so that quantiles are exact.
    seconds: Vec<f32>,
    slowest: Vec<SlowShard>,
    effort: Effort,
    workers: BTreeSet<String>,
    rows_cut: u64,
}

impl<'p, P: Planned> Study<'p, P> {
    /// A study of no records yet.
    pub fn new(plan: &'p P) -> Self {
        let shards = plan.shard_count();
        let shards_per_bar = shards.div_ceil(BARS_MAX).max(1);
        let bar = |number| Bar { first: number * shards_per_bar, ..Bar::default() };
        Self {
            plan,
            shards_per_bar,
            bars: (0..shards.div_ceil(shards_per_bar)).map(bar).collect(),
            seconds: Vec::new(),
            slowest: Vec::new(),
            effort: Effort::default(),
            workers: BTreeSet::new(),
            rows_cut: 0,
        }
    }

    /// Counts a record; one of a shard that the plan does not have is passed over.
    pub fn add(&mut self, record: &Record) {
        let Some(bar) = self.bars.get_mut((record.shard.0 / self.shards_per_bar) as usize) else {
            return;
        };
        if let Verdict::Committed(committed) = &record.verdict {
            self.rows_cut = self.rows_cut.saturating_add(committed.rows_cut);
        }
        let committed = match &record.verdict {
            Verdict::Quarantined(_) => return bar.quarantined += 1,
            Verdict::Committed(_) if record.inherited_from.is_some() => return bar.inherited += 1,
            Verdict::Committed(committed) => committed,
        };
        let timing = &committed.timing;
        let (read, infer, write) =
            (span(timing.read_s), span(timing.infer_s), span(timing.write_s));
        let seconds = read + infer + write;
        bar.scored += 1;
        bar.read_s += read;
        bar.infer_s += infer;
        bar.write_s += write;
        bar.longest_s = bar.longest_s.max(seconds);
        self.seconds.push(seconds as f32);
        self.effort.useful_s += seconds;
        if let Some(overhead) = &timing.overhead {
            self.effort.retry_s += span(overhead.lost_s);
            self.effort.load_s += span(overhead.load_s);
            self.effort.idle_s += span(overhead.idle_s);
            self.effort.accounted += 1;
        }
        if self.workers.len() < WORKERS_MAX && !self.workers.contains(&record.worker) {
            self.workers.insert(record.worker.clone());
        }
        self.note_slow(record, seconds);
    }

    /// Keeps the shard if it is among the slowest so far.
    fn note_slow(&mut self, record: &Record, seconds: f64) {
        let at = self.slowest.partition_point(|slow| slow.seconds >= seconds);
        if at < SLOWEST_SHOWN {
            let rows = self.plan.shard_rows(record.shard).unwrap_or_default();
            let (shard, worker) = (record.shard, record.worker.clone());
            self.slowest.insert(at, SlowShard { shard, seconds, rows, worker });
            self.slowest.truncate(SLOWEST_SHOWN);
        }
    }

    /// The whole report, around what follows from plan and final.
    pub fn finish(mut self, report: Report) -> FullReport {
        let longest_s = self.slowest.first().map_or(0.0, |slow| slow.seconds);
        let shards = ShardTimes {
            scored: self.seconds.len() as u64,
            median_s: quantile(&mut self.seconds, 0.5),
            p95_s: quantile(&mut self.seconds, 0.95),
            longest_s,
            slowest: self.slowest,
            shards_per_bar: self.shards_per_bar,
            bars: self.bars,
        };
        FullReport {
            elapsed_s: report.elapsed_s(),
            report,
            workers: self.workers.len() as u64,
            rows_cut: self.rows_cut,
            effort: self.effort,
            shards,
        }
    }
}

/// A span of time as a record claims it; what is no span counts as none.
fn span(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}

/// The smallest of `values` that `share` of them do not exceed (nearest rank); 0 of none.
fn quantile(values: &mut [f32], share: f64) -> f64 {
    let rank = (share * values.len() as f64).ceil() as usize;
    if values.is_empty() {
        return 0.0;
    }
    let at = rank.clamp(1, values.len()) - 1;
    f64::from(*values.select_nth_unstable_by(at, f32::total_cmp).1)
}

#[cfg(test)]
pub(crate) mod tests;

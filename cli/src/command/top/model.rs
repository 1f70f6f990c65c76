//! What `top` knows and shows, as a value: looks and keys go in, a view is drawn from it. No
//! clock and no terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::ids::RunId;
use nightshift_core::lease::Token;
use nightshift_proto::runs::get::FoundRun;
use nightshift_proto::runs::status::{RunState, RunStatus};

use super::meter::Meter;
use crate::progress::runs::counted;

mod keys;
mod order;

pub(super) use keys::{Key, Wish};
pub(super) use order::Order;

/// One look at the runs.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) runs: Vec<RunStatus>,
    /// Whether there are more than were asked for.
    pub(super) more: bool,
    /// Whether the coordinator has read all its runs; none if nobody can say.
    pub(super) ready: Option<bool>,
}

/// A time without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) since: Timestamp,
    pub(super) reason: String,
    /// When it is asked again.
    pub(super) next: Timestamp,
}

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Page {
    /// The runs, and below them the selected one.
    #[default]
    Runs,
    /// The selected run alone.
    Details,
    /// What the keys do.
    Help,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    /// Whom is asked, or where is looked.
    pub(super) source: String,
    pub(super) now: Timestamp,
    pub(super) looked_at: Option<Timestamp>,
    pub(super) ready: Option<bool>,
    pub(super) more: bool,
    pub(super) silence: Option<Silence>,
    pub(super) page: Page,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    pub(super) paused: bool,
    runs: Vec<RunStatus>,
    meters: BTreeMap<RunId, Meter>,
    /// The run that was looked at closely last.
    details: Option<FoundRun>,
    leases: BTreeMap<Token, Meter>,
    selected: Option<RunId>,
    /// Where the selected run stood: what comes in its place is selected when it goes.
    cursor: usize,
}

impl Model {
    pub(super) fn new(source: String, now: Timestamp) -> Self {
        Self {
            source,
            now,
            looked_at: None,
            ready: None,
            more: false,
            silence: None,
            page: Page::default(),
            order: Order::default(),
            filter: String::new(),
            typing: false,
            paused: false,
            runs: Vec::new(),
            meters: BTreeMap::new(),
            details: None,
            leases: BTreeMap::new(),
            selected: None,
            cursor: 0,
        }
    }

    /// Takes in a look. `at` is counted from any fixed moment, by a clock that only goes forward.
    pub(super) fn looked(&mut self, at: Duration, now: Timestamp, look: Look) {
        (self.now, self.looked_at, self.silence) = (now, Some(now), None);
        (self.ready, self.more) = (look.ready, look.more);
        let listed: BTreeSet<&RunId> = look.runs.iter().map(|run| &run.run).collect();
        self.meters.retain(|run, _| listed.contains(run));
        for run in &look.runs {
            self.meters.entry(run.run.clone()).or_default().note(at, counted(run));
        }
        self.runs = look.runs;
        self.settle();
    }

    /// Takes in a close look at the selected run; none if it is not there any more.
    pub(super) fn looked_closely(&mut self, at: Duration, found: Option<FoundRun>) {
        let same =
            |before: &FoundRun| found.as_ref().is_some_and(|it| it.run.run == before.run.run);
        if !self.details.as_ref().is_some_and(same) {
            self.leases.clear();
        }
        let shards = found.iter().flat_map(|found| &found.open_shards);
        let leases: Vec<_> = shards.flat_map(|shard| &shard.leases).collect();
        let out: BTreeSet<Token> = leases.iter().map(|lease| lease.token).collect();
        self.leases.retain(|token, _| out.contains(token));
        for lease in leases {
            self.leases.entry(lease.token).or_default().note(at, lease.rows_done);
        }
        self.details = found;
    }

    /// A look had no answer; what was seen last stays.
    pub(super) fn failed(&mut self, now: Timestamp, reason: String, next: Timestamp) {
        self.now = now;
        let since = self.silence.as_ref().map_or(now, |silence| silence.since);
        self.silence = Some(Silence { since, reason, next });
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The runs that the filter lets through, in order.
    pub(super) fn shown(&self) -> Vec<&RunStatus> {
        let wanted = self.filter.to_lowercase();
        let matches = |run: &&RunStatus| {
            wanted.is_empty()
                || run.run.to_string().to_lowercase().contains(&wanted)
                || crate::view::state_name(run.state).contains(&wanted)
        };
        let mut shown: Vec<&RunStatus> = self.runs.iter().filter(matches).collect();
        self.order.sort(self, &mut shown);
        shown
    }

    /// All runs that are known.
    pub(super) fn runs(&self) -> &[RunStatus] {
        &self.runs
    }

    pub(super) fn selected(&self) -> Option<&RunId> {
        self.selected.as_ref()
    }

    /// Where the selected run stands among those that are shown.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// The selected run in detail; none before it has been looked at.
    pub(super) fn details(&self) -> Option<&FoundRun> {
        self.details.as_ref().filter(|found| Some(&found.run.run) == self.selected.as_ref())
    }

    /// Whether what is shown is not how things are now.
    pub(super) fn is_old(&self) -> bool {
        self.silence.is_some() && self.looked_at.is_some()
    }

    /// Rows a second of a run that is under way; what is old has none.
    pub(super) fn rate(&self, run: &RunStatus) -> Option<f64> {
        if self.is_old() || run.state.verdict().is_some() {
            return None;
        }
        self.meters.get(&run.run).and_then(Meter::rate)
    }

    /// How long until all rows of a run are scored, if it goes on like this.
    pub(super) fn time_left(&self, run: &RunStatus) -> Option<Duration> {
        if self.is_old() || run.state != RunState::Running {
            return None;
        }
        let left = run.rows.planned.saturating_sub(counted(run));
        self.meters.get(&run.run).and_then(|meter| meter.time_for(left))
    }

    /// Rows a second of one lease of the selected run.
    pub(super) fn lease_rate(&self, token: Token) -> Option<f64> {
        self.leases.get(&token).and_then(Meter::rate).filter(|_| !self.is_old())
    }

    /// Keeps the selection on a run that is shown.
    fn settle(&mut self) {
        let shown: Vec<RunId> = self.shown().into_iter().map(|run| run.run.clone()).collect();
        let place = shown.iter().position(|run| Some(run) == self.selected.as_ref());
        self.cursor = place.unwrap_or(self.cursor).min(shown.len().saturating_sub(1));
        self.selected = shown.get(self.cursor).cloned();
    }

    /// Selects the run at a place; the last one if there are fewer.
    fn select(&mut self, place: usize) {
        self.selected = None;
        self.cursor = place;
        self.settle();
    }
}

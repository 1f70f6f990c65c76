//! One run that is under way: its lease table, and what the store has said about its shards.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::{Digest, RunId, ShardIndex};
use nightshift_core::lease::{Effect, Event, Holder, LeaseTable, Moment, Token};
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::{FailureClass, Record, Verdict};
use nightshift_proto::leases::Phase;
use nightshift_proto::leases::report::Failure;
use nightshift_proto::limits::QUARANTINED_SHOWN_MAX;
use nightshift_telemetry::trace::{self, LostAttempt};

use super::Task;
use super::pace::Pace;

/// Last failures that are kept for people, one a shard.
const FAILURES_MAX: usize = 1_000;

/// What a run is, as far as leasing its shards needs to know.
#[derive(Debug)]
pub struct RunFacts {
    /// The plan without its slices.
    pub outline: Arc<Outline>,
    /// The output root, as the spec names it.
    pub output_root: String,
    /// SHA-256 of the stored plan.
    pub plan_digest: Digest,
}

/// What a shard came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Whether it has data; given up otherwise.
    pub committed: bool,
    /// Rows in its output.
    pub rows_out: u64,
    /// Rows in its rejects.
    pub rows_rejected: u64,
}

/// What became of the decided shards, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Shards with data.
    pub committed: u32,
    /// Shards given up.
    pub quarantined: u32,
    /// Rows in outputs.
    pub rows_out: u64,
    /// Rows in rejects.
    pub rows_rejected: u64,
    /// Rows of shards given up.
    pub rows_quarantined: u64,
}

/// How far an attempt has come, as its worker says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    pub(super) rows_done: u64,
    /// Rows of its batches, where the grant said so.
    pub(super) batch: Option<NonZeroU32>,
}

/// One run that is under way.
#[derive(Debug)]
pub struct ActiveRun {
    /// What it is.
    pub facts: Arc<RunFacts>,
    pub(super) table: LeaseTable,
    pub(super) standing: Standing,
    pub(super) progress: BTreeMap<Token, Progress>,
    pub(super) failures: BTreeMap<ShardIndex, Failure>,
    /// The first shards that were given up.
    pub(super) given_up: BTreeMap<ShardIndex, QuarantinedShard>,
    /// Why it is not getting on, for people.
    pub(super) notice: String,
    /// What its launcher says about its workers, for people.
    pub(super) launch_notice: String,
    /// Why no shard may be begun at this time of day; none if shards may.
    pub(super) closed: Option<String>,
    /// It was stopped or cancelled: what is undecided is being given up.
    pub(super) ending: bool,
    /// The verdict is being made.
    pub(super) concluding: bool,
    /// When a shard was decided last, or the run was opened.
    pub(super) moved_at: Moment,
    /// When this process took the run on, and the rows that were decided since.
    pub(super) taken_on_at: Moment,
    pub(super) rows_since: u64,
}

// === impl RunFacts ===

impl RunFacts {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.outline.run
    }

    /// The plan without its slices, to be kept beyond the run.
    pub fn outline(&self) -> Arc<Outline> {
        Arc::clone(&self.outline)
    }

    /// Rows of a shard; 0 for a shard that the plan does not have.
    pub fn rows_of(&self, shard: ShardIndex) -> u64 {
        self.outline.shard_rows(shard).unwrap_or(0)
    }
}

// === impl Decided ===

impl From<&Record> for Decided {
    fn from(record: &Record) -> Self {
        match &record.verdict {
            Verdict::Committed(committed) => Self {
                committed: true,
                rows_out: committed.rows_out,
                rows_rejected: committed.rows_rejected,
            },
            Verdict::Quarantined(_) => Self { committed: false, rows_out: 0, rows_rejected: 0 },
        }
    }
}

// === impl Standing ===

impl Standing {
    /// Counts one more decided shard, which has `rows` rows.
    pub fn add(&mut self, decided: Decided, rows: u64) {
        if decided.committed {
            self.committed += 1;
            self.rows_out += decided.rows_out;
            self.rows_rejected += decided.rows_rejected;
        } else {
            self.quarantined += 1;
            self.rows_quarantined += rows;
        }
    }
}

// === impl ActiveRun ===

impl ActiveRun {
    /// A run that begins or goes on at `now`, with the shards of `table` undecided and what
    /// `standing` says about the others.
    pub fn new(facts: Arc<RunFacts>, table: LeaseTable, standing: Standing, now: Moment) -> Self {
        Self {
            facts,
            table,
            standing,
            progress: BTreeMap::new(),
            failures: BTreeMap::new(),
            given_up: BTreeMap::new(),
            notice: String::new(),
            launch_notice: String::new(),
            closed: None,
            ending: false,
            concluding: false,
            moved_at: now,
            taken_on_at: now,
            rows_since: 0,
        }
    }

    /// Incarnation that owns its leases.
    pub fn epoch(&self) -> u64 {
        self.table.epoch()
    }

    /// Whether the verdict is being made.
    pub fn is_concluding(&self) -> bool {
        self.concluding
    }

    /// Leases that are out.
    pub fn leases(&self) -> usize {
        self.table.leased()
    }

    /// Shards without a record.
    pub fn undecided(&self) -> u64 {
        self.table.undecided()
    }

    /// The shards without a record.
    pub fn undecided_shards(&self) -> Vec<ShardIndex> {
        self.table.undecided_shards().collect()
    }

    /// How long no shard of the run has been decided.
    pub fn still_ms(&self, now: Moment) -> u64 {
        now.since_ms(self.moved_at)
    }

    /// How fast it goes.
    pub fn pace(&self, now: Moment) -> Pace {
        let Standing { rows_out, rows_rejected, rows_quarantined, .. } = self.standing;
        let decided = rows_out.saturating_add(rows_rejected).saturating_add(rows_quarantined);
        Pace {
            elapsed_ms: now.since_ms(self.taken_on_at),
            rows_since: self.rows_since,
            rows_left: self.facts.outline.rows().saturating_sub(decided),
        }
    }

    /// Says for people why the run is not getting on.
    pub fn set_notice(&mut self, notice: String) {
        self.notice = notice;
    }

    /// Says for people what is the matter with its workers; empty if nothing is.
    pub fn set_launch_notice(&mut self, notice: String) {
        self.launch_notice = notice;
    }

    /// Whether it was stopped or cancelled, so that no further worker is of use.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Says whether shards may be begun at this time of day, and if not, why.
    pub fn set_closed(&mut self, why: Option<String>) {
        self.closed = why;
    }

    /// Whether no shard may be begun at this time of day.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Shards that could be granted at `now`.
    pub(super) fn grantable(&self, now: Moment) -> u64 {
        if self.is_closed() { 0 } else { self.table.grantable(now) }
    }

    /// All notices as one line.
    pub(super) fn told(&self) -> String {
        let closed = self.closed.as_deref().unwrap_or_default();
        let all = [closed, &self.notice, &self.launch_notice];
        let said: Vec<&str> = all.into_iter().filter(|notice| !notice.is_empty()).collect();
        said.join("; ")
    }

    /// The first shards that were given up.
    pub fn given_up(&self) -> Vec<QuarantinedShard> {
        self.given_up.values().cloned().collect()
    }

    /// Replaces what `shards` shards that were decided before this incarnation were taken for by
    /// what they came to.
    pub fn stock_taken(&mut self, shards: u32, found: Standing, given_up: Vec<QuarantinedShard>) {
        let standing = &mut self.standing;
        standing.committed = standing.committed.saturating_sub(shards) + found.committed;
        standing.quarantined += found.quarantined;
        standing.rows_out += found.rows_out;
        standing.rows_rejected += found.rows_rejected;
        standing.rows_quarantined += found.rows_quarantined;
        given_up.into_iter().for_each(|one| self.note_given_up(one));
    }

    /// Keeps a shard that was given up for people.
    pub fn note_given_up(&mut self, shard: QuarantinedShard) {
        if self.given_up.len() < QUARANTINED_SHOWN_MAX {
            self.given_up.insert(shard.shard, shard);
        }
    }

    /// Looks at the store again only after another while, although nothing was found.
    pub fn looked(&mut self, now: Moment) {
        self.moved_at = now;
    }

    /// Notes that a shard has a record; false if that was known.
    pub(super) fn decided(
        &mut self,
        now: Moment,
        shard: ShardIndex,
        by: Option<Token>,
        decided: Decided,
        tasks: &mut Vec<Task>,
    ) -> bool {
        let before = self.table.undecided();
        let effects = self.table.apply(now, Event::ShardDecided { shard, by });
        if self.table.undecided() == before {
            return false;
        }
        self.moved_at = now;
        self.failures.remove(&shard);
        let rows = self.facts.rows_of(shard);
        self.rows_since = self.rows_since.saturating_add(rows);
        self.standing.add(decided, rows);
        self.perform(effects, tasks);
        true
    }

    /// Turns what the table wants into tasks and notices. Grants and answers are not among it.
    pub(super) fn perform(&mut self, effects: Vec<Effect>, tasks: &mut Vec<Task>) {
        let run = self.facts.run().clone();
        for effect in effects {
            match effect {
                Effect::WriteQuarantine { shard, class, reason, message, attempts } => {
                    tasks.push(Task::Quarantine {
                        run: run.clone(),
                        shard,
                        class,
                        reason,
                        message,
                        attempts,
                    });
                }
                Effect::StopRun { reason, message } => {
                    let class = FailureClass::Config;
                    self.notice = format!("stopped: {reason}: {message}");
                    if !std::mem::replace(&mut self.ending, true) {
                        tasks.push(Task::GiveUpAll { run: run.clone(), class, reason, message });
                    }
                }
                Effect::ReportGrantsStopped { class, reason, failed, ended, .. } => {
                    self.notice = format!(
                        "paused: {failed} of the last {ended} attempts failed alike ({}, {reason})",
                        class.as_str()
                    );
                    tracing::warn!(run = %self.facts.run(), notice = %self.notice, "grants stopped");
                }
                Effect::ReportGrantsResumed => {
                    self.notice.clear();
                    tracing::info!(run = %self.facts.run(), "grants go on");
                }
                Effect::JudgeCanary { .. } => tasks.push(Task::JudgeCanary { run: run.clone() }),
                Effect::AllDecided => self.conclude(tasks),
                Effect::Grant { .. }
                | Effect::Wait { .. }
                | Effect::Retire { .. }
                | Effect::Drain { .. }
                | Effect::AnswerHeartbeat { .. } => {}
            }
        }
    }

    pub(super) fn conclude(&mut self, tasks: &mut Vec<Task>) {
        if !std::mem::replace(&mut self.concluding, true) {
            tasks.push(Task::Conclude { run: self.facts.run().clone() });
        }
    }

    /// Keeps the last failure of a shard for people.
    pub(super) fn remember_failure(&mut self, shard: ShardIndex, failure: Failure) {
        if self.failures.len() < FAILURES_MAX || self.failures.contains_key(&shard) {
            self.failures.insert(shard, failure);
        }
    }

    /// Puts an attempt into the trace of the run whose worker will not do so any more.
    pub(super) fn trace_lost(&self, now: Moment, lease: Holder, reason: &str) {
        let Holder { shard, granted_at, .. } = lease;
        let number = self.table.attempts(shard).saturating_add(1);
        let age_ms = now.since_ms(granted_at);
        trace::lost(&*self.facts.outline, LostAttempt { shard, number, age_ms, reason });
    }

    /// Forgets the progress of leases that are over.
    pub(super) fn tidy(&mut self) {
        if self.progress.len() > self.table.leased() {
            let table = &self.table;
            self.progress.retain(|token, _| table.holder(*token).is_some());
        }
    }
}

//! Answering a request for work.

use std::num::NonZeroU32;
use std::sync::Arc;

use nightshift_core::ids::RunId;
use nightshift_core::lease::{Effect, Event, Lease, Moment, RequestId, WorkerId};
use nightshift_proto::leases::Directive;
use nightshift_proto::leases::acquire::Acquire;

use super::active::{ActiveRun, Progress, RunFacts};
use super::book::Granting;
use super::share::{Candidate, split};
use super::{Desk, Task};
use nightshift_proto::leases::Phase;

/// One lease that was granted.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The run.
    pub facts: Arc<RunFacts>,
    /// The lease.
    pub lease: Lease,
    /// Whether another worker holds a lease of the same shard.
    pub backup: bool,
    /// Batch size that attempts have learned.
    pub batch: Option<NonZeroU32>,
}

/// The answer to a request for work.
#[derive(Debug, Default)]
pub struct AcquireAnswer {
    /// What was granted.
    pub granted: Vec<Granted>,
    /// When a shard may become free, if nothing was granted and that is known.
    pub until: Option<Moment>,
    /// For people: why nothing was granted.
    pub notice: String,
    /// The run that was asked for is neither under way nor known to be concluded.
    pub unknown_run: bool,
    /// The run that was asked for is concluded.
    pub retire: bool,
    /// What is to be done.
    pub tasks: Vec<Task>,
}

impl AcquireAnswer {
    /// What the worker is to do as a whole.
    pub fn directive(&self) -> Directive {
        if self.retire { Directive::Retire } else { Directive::Continue }
    }
}

impl Desk {
    /// Grants up to `max` shards, or says when to ask again.
    pub fn acquire(&mut self, now: Moment, acquire: &Acquire) -> AcquireAnswer {
        let mut answer = AcquireAnswer::default();
        let Some(worker) = self.book.enter(now, &acquire.worker) else {
            answer.notice =
                format!("{} workers are known, which is the limit", super::book::WORKERS_MAX);
            return answer;
        };
        if let Some(run) = &acquire.run
            && !self.runs.contains_key(run)
        {
            answer.retire = self.is_concluded(run);
            answer.unknown_run = !answer.retire;
            return answer;
        }
        let (number, asked) = self.shares(now, worker, acquire);
        let mut runs = Vec::new();
        for (run, max) in &asked {
            if self.ask(now, worker, run, number, *max, &mut answer) {
                runs.push(run.clone());
            }
        }
        if answer.granted.is_empty() {
            // Nothing is free; a slow shard may be due for a second lease.
            let all: Vec<RunId> = match &acquire.run {
                Some(run) => vec![run.clone()],
                None => self.runs.keys().cloned().collect(),
            };
            for run in all {
                if answer.granted.is_empty() && self.ask(now, worker, &run, number, 1, &mut answer)
                {
                    runs.push(run);
                }
            }
        }
        if answer.granted.is_empty() {
            answer.notice = self.why_nothing(acquire.run.as_ref());
        } else if let Some(known) = self.book.get_mut(worker) {
            known.run = runs.last().cloned();
            known.last = Some(Granting { request: acquire.request.clone(), number, runs });
            known.next_request = number + 1;
        }
        self.counters.granted += answer.granted.len() as u64;
        self.counters.backups +=
            answer.granted.iter().filter(|granted| granted.backup).count() as u64;
        answer
    }

    /// The request's number, and how much to ask of which run. A call that is repeated asks the
    /// same runs under the same number, so that it gets the same leases.
    fn shares(&self, now: Moment, worker: WorkerId, acquire: &Acquire) -> (u64, Vec<(RunId, u32)>) {
        let Some(known) = self.book.get(worker) else { return (0, Vec::new()) };
        if let Some(last) = &known.last
            && last.request == acquire.request
        {
            let same = last.runs.iter().map(|run| (run.clone(), acquire.max)).collect();
            return (last.number, same);
        }
        let wanted = |run: &&RunId| acquire.run.as_ref().is_none_or(|only| only == *run);
        let candidates = self.runs.iter().filter(|(id, _)| wanted(id));
        let candidates = candidates.map(|(id, run)| Candidate {
            run: id.clone(),
            ready: run.grantable(now),
            leased: run.table.leased() as u64,
        });
        (known.next_request, split(candidates.collect(), acquire.max, known.run.as_ref()))
    }

    /// Asks one run's table; whether it granted something.
    fn ask(
        &mut self,
        now: Moment,
        worker: WorkerId,
        run: &RunId,
        number: u64,
        max: u32,
        answer: &mut AcquireAnswer,
    ) -> bool {
        let Some(active) = self.runs.get_mut(run).filter(|run| !run.is_closed()) else {
            return false;
        };
        let before = answer.granted.len();
        let event = Event::WorkWanted { worker, request: RequestId(number), max };
        let mut rest = Vec::new();
        for effect in active.table.apply(now, event) {
            match effect {
                Effect::Grant { lease, backup, batch_rows: batch, .. } => {
                    let progress = Progress { phase: Phase::Waiting, rows_done: 0, batch };
                    active.progress.insert(lease.token, progress);
                    let facts = Arc::clone(&active.facts);
                    answer.granted.push(Granted { facts, lease, backup, batch });
                }
                Effect::Wait { until, .. } => {
                    answer.until = answer.until.into_iter().chain(until).min();
                }
                other => rest.push(other),
            }
        }
        active.perform(rest, &mut answer.tasks);
        answer.granted.len() > before
    }

    fn why_nothing(&self, only: Option<&RunId>) -> String {
        let runs = || self.runs.values().filter(|run| only.is_none_or(|id| id == run.facts.run()));
        let told = |run: &&ActiveRun| run.is_closed() || !run.notice.is_empty();
        match runs().find(told) {
            Some(run) => format!("{}: {}", run.facts.run(), run.told()).chars().take(500).collect(),
            None if runs().next().is_none() => "no run is under way".to_owned(),
            None => "every shard is leased or decided".to_owned(),
        }
    }
}

//! Taking in how an attempt ended.

use std::num::NonZeroU32;

use nightshift_core::lease::{Event, Holding, Moment};
use nightshift_proto::leases::report::{Failure, Outcome, Report, ReportState};

use super::active::Decided;
use super::{Desk, Task};

/// What was made of a report.
#[derive(Debug)]
pub struct ReportAnswer {
    /// For the worker.
    pub state: ReportState,
    /// Whether the shard is newly known to be decided.
    pub newly_decided: bool,
    /// What is to be done.
    pub tasks: Vec<Task>,
}

impl Desk {
    /// Takes in a report. `decided` is what the shard's record says, for a report of a record
    /// that was found in the store.
    pub fn report(
        &mut self,
        now: Moment,
        report: &Report,
        decided: Option<Decided>,
    ) -> ReportAnswer {
        let mut tasks = Vec::new();
        let answer = |state, newly_decided, tasks| ReportAnswer { state, newly_decided, tasks };
        let lease = &report.lease;
        let worker = self.book.enter(now, &report.worker);
        let Some(active) = self.runs.get_mut(&lease.run) else {
            let known = self.is_concluded(&lease.run);
            let state = if known { ReportState::Accepted } else { ReportState::Stale };
            return answer(state, false, tasks);
        };
        if let (Some(worker), Some(size)) = (worker, report.batch_size)
            && let Some(rows) = NonZeroU32::new(size.get())
        {
            active.table.apply(now, Event::BatchLearned { worker, rows });
        }
        match (&report.outcome, decided) {
            (Outcome::Committed(_) | Outcome::Lost { .. }, Some(decided)) => {
                // Only the winner's time says how long a shard takes.
                let won = matches!(report.outcome, Outcome::Committed(_));
                let by = won.then_some(lease.token);
                let newly = active.decided(now, lease.shard, by, decided, &mut tasks);
                active.progress.remove(&lease.token);
                self.counters.decided += u64::from(newly);
                answer(ReportState::Accepted, newly, tasks)
            }
            (Outcome::Committed(_) | Outcome::Lost { .. }, None) => {
                answer(ReportState::NoRecord, false, tasks)
            }
            (Outcome::Failed(failure), _) => {
                let holder = active.table.holder(lease.token);
                let theirs = match holder {
                    Some(held) => Some(held.worker) == worker && held.shard == lease.shard,
                    // One of an older epoch that no heartbeat has named yet; the table decides.
                    None => lease.token.epoch < active.table.epoch(),
                };
                if !theirs {
                    return answer(ReportState::Stale, false, tasks);
                }
                let Failure { class, reason, message } = failure.clone();
                active.remember_failure(lease.shard, failure.clone());
                active.progress.remove(&lease.token);
                let holding = Holding { token: lease.token, shard: lease.shard };
                let reason = reason.to_string();
                let event = Event::AttemptFailed { lease: holding, class, reason, message };
                let effects = active.table.apply(now, event);
                active.perform(effects, &mut tasks);
                self.counters.failed += 1;
                answer(ReportState::Accepted, false, tasks)
            }
        }
    }
}

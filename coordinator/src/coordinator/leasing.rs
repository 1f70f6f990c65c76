//! Answering workers.

use std::time::Duration;

use nightshift_core::ids::RunId;
use nightshift_core::layout::Object;
use nightshift_core::lease::Moment;
use nightshift_core::record::Record;
use nightshift_proto::leases::acquire::{Acquire, Acquired, Grant};
use nightshift_proto::leases::create_record::{CreateRecord, RecordAnswered, RecordState};
use nightshift_proto::leases::heartbeat::{Heartbeat, HeartbeatAnswered};
use nightshift_proto::leases::release::{Release, Released};
use nightshift_proto::leases::report::{Outcome, Report, ReportState, Reported};
use nightshift_proto::leases::{Directive, LeaseId};
use nightshift_proto::limits::RETRY_AFTER_MAX_MS;
use nightshift_proto::names::BatchSize;
use nightshift_telemetry::trace::RunTrace;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Coordinator;
use crate::desk::{AcquireAnswer, Decided, Granted};
use crate::refusal::Refusal;

/// Pause before another request where nothing is known about when work comes.
const RETRY_MS: u64 = 1_000;
/// Shortest pause before another request.
const RETRY_MIN_MS: u64 = 20;
/// Longest wait until the desk is asked again although nothing was heard: the bound on what a
/// forgotten wake-up costs.
const LOOK_AGAIN_MS: u64 = 5_000;

impl Coordinator {
    /// Grants shards, waiting for some as long as the request says.
    ///
    /// # Errors
    /// If the run that is asked for is not known.
    pub async fn acquire(self: &Arc<Self>, acquire: Acquire) -> Result<Acquired, Refusal> {
        let give_up = self.clock.now().after_ms(acquire.wait_ms.into());
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let now = self.clock.now();
            let mut answer = self.desk().acquire(now, &acquire);
            self.perform(std::mem::take(&mut answer.tasks));
            if answer.unknown_run
                && let Some(run) = &acquire.run
            {
                answer.retire = self.find_out(run).await?;
            }
            let over = now >= give_up || self.ending.load(Ordering::Acquire);
            if !answer.granted.is_empty() || answer.retire || over {
                let waited = acquire.wait_ms > 0 && !self.ending.load(Ordering::Acquire);
                return Ok(self.acquired(now, waited, answer));
            }
            let look_again = now.after_ms(LOOK_AGAIN_MS);
            let until = answer.until.into_iter().chain([give_up, look_again]).min();
            // A chance that is due already has not come true: look again soon, not at once.
            let until = until.unwrap_or(give_up).max(now.after_ms(RETRY_MIN_MS)).min(give_up);
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(self.clock.instant(until)) => {}
            }
        }
    }

    /// A run that is not on the desk: whether it has its final. While runs are being recovered
    /// the worker waits.
    async fn find_out(&self, run: &RunId) -> Result<bool, Refusal> {
        if let Some(served) = self.root_of(run) {
            let object = Object::Final { partition: run.partition, generation: run.generation };
            if served.root.exists(&object).await? {
                self.desk().remember(run.clone());
                return Ok(true);
            }
            if served.root.exists(&Object::Plan { run: run.clone() }).await? {
                return Ok(false);
            }
        }
        if self.is_recovered() {
            return Err(Refusal::UnknownRun { run: run.clone() });
        }
        Ok(false)
    }

    fn acquired(&self, now: Moment, waited: bool, answer: AcquireAnswer) -> Acquired {
        let directive = answer.directive();
        let nothing = answer.granted.is_empty() && directive == Directive::Continue;
        // Who has waited here already asks again at once, so that new work finds it waiting.
        let pause = match (waited, answer.until) {
            (true, _) => RETRY_MIN_MS,
            (false, Some(until)) => until.since_ms(now),
            (false, None) => RETRY_MS,
        };
        let pause = pause.clamp(RETRY_MIN_MS, RETRY_AFTER_MAX_MS.into());
        Acquired {
            grants: answer.granted.into_iter().map(|granted| self.grant(granted)).collect(),
            directive,
            retry_after_ms: if nothing {
                u32::try_from(pause).unwrap_or(RETRY_AFTER_MAX_MS)
            } else {
                0
            },
            notice: answer.notice,
        }
    }

    fn grant(&self, granted: Granted) -> Grant {
        let Granted { facts, lease, backup, batch } = granted;
        let creates = self.root_of(facts.run()).is_some_and(|served| served.root.decides());
        Grant {
            lease: LeaseId { run: facts.run().clone(), shard: lease.shard, token: lease.token },
            earlier_attempts: lease.earlier_attempts,
            ttl_ms: self.times.ttl_ms(),
            heartbeat_interval_ms: self.times.heartbeat_ms(),
            output_root: facts.output_root.clone(),
            plan_sha256: facts.plan_digest,
            // Nothing that this process makes is refused, and a grant without it is as good.
            trace: RunTrace::of(&*facts.outline).traceparent().and_then(|text| text.parse().ok()),
            batch_size: batch.and_then(|rows| BatchSize::new(rows.get()).ok()),
            backup,
            coordinator_creates_records: creates,
        }
    }

    /// Renews leases.
    pub fn heartbeat(&self, heartbeat: Heartbeat) -> HeartbeatAnswered {
        let now = self.clock.now();
        self.desk().heartbeat(now, heartbeat)
    }

    /// Takes leases back.
    pub fn release(self: &Arc<Self>, release: &Release) -> Released {
        let now = self.clock.now();
        let (released, tasks) = self.desk().release(now, release);
        self.perform(tasks);
        if released > 0 {
            self.changed.notify_waiters();
        }
        Released { released }
    }

    /// Takes in how an attempt ended. What claims a record is believed when the record has been
    /// read from the store.
    ///
    /// # Errors
    /// If the store does not answer; the worker repeats the report.
    pub async fn report(self: &Arc<Self>, report: Report) -> Result<Reported, Refusal> {
        let run = &report.lease.run;
        let record = match &report.outcome {
            Outcome::Failed(_) => None,
            Outcome::Committed(_) => self.record_of(&report.lease, false).await?,
            Outcome::Lost { .. } => self.record_of(&report.lease, true).await?,
        };
        let decided = record.as_ref().map(Decided::from);
        let now = self.clock.now();
        let answer = {
            let mut desk = self.desk();
            if desk.run(run).is_none() && !desk.is_concluded(run) && !self.is_recovered() {
                // Its run will be here in a moment.
                return Err(Refusal::Recovering);
            }
            let answer = desk.report(now, &report, decided);
            if let (true, Some(record)) = (answer.newly_decided, &record) {
                self.note(&mut desk, record);
            }
            answer
        };
        self.perform(answer.tasks);
        if answer.state == ReportState::Accepted && decided.is_none() {
            // A failed attempt: its shard may be free for another.
            self.changed.notify_waiters();
        }
        Ok(Reported { state: answer.state, directive: Directive::Continue })
    }

    /// Creates the record that a worker has made, where nobody but this process may; tries once.
    ///
    /// No lease is asked for: as with a store that decides, the first record of a shard counts.
    ///
    /// # Errors
    /// If the run is not known, the bytes are no record of it, or the store does not answer.
    pub async fn create_record(&self, create: CreateRecord) -> Result<RecordAnswered, Refusal> {
        let CreateRecord { worker, run, shard, record } = create;
        let Some(served) = self.root_of(&run) else {
            return Err(match self.is_recovered() {
                true => Refusal::UnknownRun { run },
                false => Refusal::Recovering,
            });
        };
        let created = served.root.create_record_for(&run, shard, record.into()).await?;
        tracing::debug!(%run, %shard, %worker, created, "record for a worker");
        let state = if created { RecordState::Created } else { RecordState::Exists };
        Ok(RecordAnswered { state })
    }

    /// The record of a leased shard, if the store has it; durable if `settle` says so.
    ///
    /// Whoever won the contest has synced its record before it reports. Who lost may have seen
    /// the record of an attempt that has not got as far.
    async fn record_of(&self, lease: &LeaseId, settle: bool) -> Result<Option<Record>, Refusal> {
        let Some(served) = self.root_of(&lease.run) else { return Ok(None) };
        let object = Object::Record { run: lease.run.clone(), shard: lease.shard };
        let record = served.root.read::<Record>(&object).await?;
        let record = record.filter(|record| record.run == lease.run && record.shard == lease.shard);
        if settle && record.is_some() {
            served.root.make_durable(&object).await?;
        }
        Ok(record)
    }

    /// Waits until something has changed, or `time` is over.
    pub async fn changed(&self, time: Duration) {
        // Over or changed, the caller looks again.
        let _ = tokio::time::timeout(time, self.changed.notified()).await;
    }
}

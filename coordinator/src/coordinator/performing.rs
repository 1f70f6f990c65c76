//! Performing what the desk wants done: records that give shards up, and finals.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use nightshift_core::accounts::Met;
use nightshift_core::conclusion::NotConcluded;
use nightshift_core::describe::describe;
use nightshift_core::gates::{Canary, canary, canary_shard};
use nightshift_core::ids::{AttemptId, RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::{FailureClass, MESSAGE_MAX_CHARS, Quarantined, Record, Verdict};
use nightshift_core::report::Report;
use nightshift_storage::concluding::{ConcludeError, conclude_stored};
use nightshift_storage::documents::Settled;
use nightshift_telemetry::story;

use super::{Coordinator, QUARANTINES_MAX};
use crate::desk::{Decided, Desk, RunFacts, Task};
use crate::identity::fresh_id;
use crate::opening::quarantined;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

/// First pause before something that failed is tried again; it doubles each time.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A shard that is given up, and why.
#[derive(Debug, Clone)]
struct GivenUp {
    class: FailureClass,
    reason: String,
    message: String,
    attempts: u32,
}

impl Coordinator {
    /// Starts whatever is to be done, without waiting for it.
    pub(super) fn perform(self: &Arc<Self>, tasks: Vec<Task>) {
        for task in tasks {
            let this = Arc::clone(self);
            match task {
                Task::Quarantine { run, shard, class, reason, message, attempts } => {
                    let why = GivenUp { class, reason, message, attempts };
                    nightshift_telemetry::spawn("quarantine", async move {
                        this.quarantine_one(&run, shard, why).await;
                    });
                }
                Task::GiveUpAll { run, class, reason, message } => {
                    let why = GivenUp { class, reason, message, attempts: 0 };
                    nightshift_telemetry::spawn("give-up", async move {
                        this.give_up_all(&run, why).await;
                    });
                }
                Task::JudgeCanary { run } => {
                    nightshift_telemetry::spawn("canary", async move {
                        this.judge_canary(&run).await;
                    });
                }
                Task::Conclude { run } => {
                    nightshift_telemetry::spawn("conclude", async move {
                        this.conclude(&run).await;
                    });
                }
            }
        }
    }

    /// Gives one shard up; if that fails the table tries it once more later.
    async fn quarantine_one(self: &Arc<Self>, run: &RunId, shard: ShardIndex, why: GivenUp) {
        // The semaphore is never closed.
        let Ok(_permit) = self.quarantines.acquire().await else { return };
        let (class, reason) = (why.class.as_str(), why.reason.clone());
        let message = why.message.clone();
        let facts = self.facts(run);
        let model_digest = facts.map(|facts| facts.outline.model().digest);
        let model_digest = model_digest.as_ref().map(tracing::field::display);
        // The attempt that decides a shard without any worker is the coordinator's own.
        let attempt = match fresh_id() {
            Ok(attempt) => attempt,
            Err(error) => {
                return tracing::error!(%run, %shard, model_digest, error = describe(&error), "the shard could not be given up");
            }
        };
        tracing::warn!(%run, %shard, %attempt, model_digest, class, reason, error = message, "shard given up");
        if let Err(error) = self.write_quarantine(run, shard, attempt.clone(), why).await {
            let error = describe(&error);
            tracing::warn!(%run, %shard, %attempt, model_digest, error, "the shard could not be given up");
            let now = self.clock.now();
            self.desk().quarantine_failed(now, run, shard);
        }
    }

    /// Gives every undecided shard of a run up, until there is none.
    async fn give_up_all(self: &Arc<Self>, run: &RunId, why: GivenUp) {
        let mut pause = PAUSE_MIN;
        loop {
            let shards = self.look(|desk, _| desk.run(run).map(|run| run.undecided_shards()));
            let Some(shards) = shards.filter(|shards| !shards.is_empty()) else { return };
            tracing::warn!(%run, shards = shards.len(), reason = why.reason, "giving up what is undecided");
            let give_up =
                async |shard| self.write_quarantine(run, shard, fresh_id()?, why.clone()).await;
            let mut written =
                futures::stream::iter(shards).map(give_up).buffer_unordered(QUARANTINES_MAX);
            let mut failed = None;
            while let Some(result) = written.next().await {
                failed = failed.or(result.err());
            }
            let Some(error) = failed else { continue };
            tracing::warn!(%run, error = describe(&error), "shards could not be given up yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn write_quarantine(
        self: &Arc<Self>,
        run: &RunId,
        shard: ShardIndex,
        attempt: AttemptId,
        why: GivenUp,
    ) -> Result<(), Refusal> {
        let Some(served) = self.root_of(run) else {
            return Err(Refusal::UnknownRun { run: run.clone() });
        };
        let record = Record {
            version: Record::VERSION,
            run: run.clone(),
            shard,
            attempt: attempt.clone(),
            worker: self.who.to_string(),
            decided_at: self.clock.wall(),
            inherited_from: None,
            verdict: Verdict::Quarantined(Quarantined {
                class: why.class,
                reason: why.reason,
                message: why.message.chars().take(MESSAGE_MAX_CHARS).collect(),
                attempts: why.attempts,
            }),
        };
        let record = match served.root.quarantine(run, shard, &attempt, &record).await? {
            Settled::Created => record,
            // A worker was faster: its data counts.
            Settled::Existing(other) => other,
        };
        self.found(run, [record]);
        Ok(())
    }

    /// Tells the desk, and everything behind it, of records that were read from the store.
    pub(super) fn found(self: &Arc<Self>, run: &RunId, records: impl IntoIterator<Item = Record>) {
        let now = self.clock.now();
        let mut tasks = Vec::new();
        {
            let mut desk = self.desk();
            for record in records {
                let shard = (record.shard, Decided::from(&record));
                tasks.extend(desk.found_decided(now, run, [shard]));
                self.note(&mut desk, &record);
            }
        }
        self.perform(tasks);
    }

    /// Notes a shard whose record was read from the store.
    pub(super) fn note(&self, desk: &mut Desk, record: &Record) {
        self.ledger.shard_decided(&record.run, record.shard);
        let Some(active) = desk.run_mut(&record.run) else { return };
        self.count(record, active.facts.rows_of(record.shard), Met::Now);
        if let Some(given_up) = quarantined(record, &active.facts) {
            active.note_given_up(given_up);
        }
    }

    /// Judges the canary of a run by its stored record, however long it takes to read that.
    async fn judge_canary(self: &Arc<Self>, run: &RunId) {
        let mut pause = PAUSE_MIN;
        while let Some(facts) = self.facts(run) {
            match self.stored_canary(run, &facts.outline).await {
                // The record was there a moment ago.
                Ok(Canary::Awaited(shard)) => {
                    let model_digest = facts.outline.model().digest;
                    tracing::error!(%run, %shard, %model_digest, "the record of the canary has vanished");
                }
                Ok(canary) => {
                    tracing::info!(%run, ?canary, "canary judged");
                    let now = self.clock.now();
                    let tasks = self.desk().canary_judged(now, run, canary);
                    self.perform(tasks);
                    self.changed.notify_waiters();
                    return;
                }
                Err(error) => {
                    tracing::warn!(%run, error = describe(&error), "the canary cannot be read yet");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn stored_canary(&self, run: &RunId, plan: &Outline) -> Result<Canary, Refusal> {
        let record = match (canary_shard(plan), self.root_of(run)) {
            (Some(shard), Some(served)) => {
                served.root.read::<Record>(&Object::Record { run: run.clone(), shard }).await?
            }
            _ => None,
        };
        Ok(canary(plan, record.as_ref()))
    }

    fn facts(&self, run: &RunId) -> Option<Arc<RunFacts>> {
        self.look(|desk, _| desk.run(run).map(|active| Arc::clone(&active.facts)))
    }

    /// Makes the verdict of a run whose shards are all decided, however long that takes.
    async fn conclude(self: &Arc<Self>, run: &RunId) {
        let mut pause = PAUSE_MIN;
        while let Some(served) = self.root_of(run) {
            match self.conclude_once(&served, run).await {
                Ok(report) => {
                    story::run_concluded(&report, served.root.reader().place());
                    self.ledger.run_concluded(&report.verdict);
                    self.count_final(&served, &report.verdict);
                    let outline = |desk: &Desk, _| desk.run(run).map(|run| run.facts.outline());
                    if let Some(outline) = self.look(outline) {
                        self.teller.concluded(&served.root, &outline, report);
                    }
                    self.desk().concluded(run);
                    self.changed.notify_waiters();
                    return;
                }
                Err(Refusal::Conclude(ConcludeError::NotConcluded(NotConcluded::Undecided {
                    undecided,
                    ..
                }))) => {
                    // The store has lost records that were there: begin again with what it has.
                    tracing::error!(%run, undecided, "records have vanished from the store");
                    self.desk().leave(run);
                    return self.begin_again(served, run.clone()).await;
                }
                Err(error) => {
                    let error = describe(&error);
                    tracing::warn!(%run, error, "the verdict could not be made yet");
                    if let Some(active) = self.desk().run_mut(run) {
                        active.set_notice(format!("the verdict could not be made yet: {error}"));
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Takes a run over that has left the desk. Boxed, because taking over may lead to another
    /// conclusion.
    fn begin_again(
        self: &Arc<Self>,
        served: Arc<ServedRoot>,
        run: RunId,
    ) -> BoxFuture<'static, ()> {
        let this = Arc::clone(self);
        Box::pin(async move {
            if let Err(error) = this.resume(&served, &run).await {
                tracing::error!(%run, error = describe(&error), "the run cannot go on");
            }
        })
    }

    async fn conclude_once(&self, served: &ServedRoot, run: &RunId) -> Result<Report, Refusal> {
        let facts = self.facts(run).ok_or_else(|| Refusal::UnknownRun { run: run.clone() })?;
        Ok(conclude_stored(&served.root, &facts.outline).await?)
    }
}

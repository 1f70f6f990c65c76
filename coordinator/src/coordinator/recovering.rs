//! Starting from the store alone: which runs were under way?

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use nightshift_core::accounts::Met;
use nightshift_core::decide::{Decision, decide, run_id};
use nightshift_core::describe::describe;
use nightshift_core::ids::{Partition, RunId};
use nightshift_core::plan::Planned;
use nightshift_core::record::Record;
use nightshift_storage::error::StoreError;
use nightshift_storage::opening::{OpenOutline, reopen};
use nightshift_telemetry::story;

use super::{Coordinator, hours};
use crate::opening::{Opened, take_over, take_stock};
use crate::refusal::Refusal;
use crate::roots::{ServeError, ServedRoot};

/// Dates that are looked at at the same time.
const LOOKS_MAX: usize = 16;
/// Pause before a root that could not be looked at is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a root is tried before the coordinator is ready without it.
const TRIES: u32 = 3;

impl Coordinator {
    /// Puts every run on the desk that was under way in the roots noted in the home. A root that
    /// cannot be looked at is tried a few times, then left out with a warning; a request that
    /// names its output brings it back. If another process decides there, this one is to end.
    pub async fn recover(self: &Arc<Self>) {
        let noted = loop {
            match self.roots.noted().await {
                Ok(noted) => break noted,
                Err(error) => {
                    tracing::error!(error = describe(&error), "the home cannot be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        for served in noted {
            for attempt in 1..=TRIES {
                let Err(error) = self.recover_root(&served.name, &served.output).await else {
                    break;
                };
                if let Refusal::Serve(ServeError::Store(StoreError::Held { .. })) = &error {
                    return self.roots.refuse(describe(&error));
                }
                let error = describe(&error);
                let (name, output) = (&served.name, &served.output);
                tracing::warn!(%name, output, attempt, error, "an output cannot be recovered");
                if attempt < TRIES {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        self.recovered.store(true, Ordering::Release);
        self.changed.notify_waiters();
        let runs = self.look(|desk, _| desk.runs().count());
        tracing::info!(runs, "recovered");
    }

    async fn recover_root(
        self: &Arc<Self>,
        name: &nightshift_core::ids::SpecName,
        output: &str,
    ) -> Result<(), Refusal> {
        let served = self.serve_root(name, output).await?;
        let partitions = served.root.partitions().await?;
        let looks = futures::stream::iter(partitions)
            .map(|partition| self.recover_partition(&served, partition))
            .buffer_unordered(LOOKS_MAX)
            .collect::<Vec<_>>();
        looks.await.into_iter().collect()
    }

    async fn recover_partition(
        self: &Arc<Self>,
        served: &Arc<ServedRoot>,
        partition: Partition,
    ) -> Result<(), Refusal> {
        let facts = served.root.partition_facts(partition).await?;
        if let Some((generation, _)) = facts.concluded {
            self.tell_later(served, &run_id(&served.name, partition, generation)).await;
        }
        match decide(facts, false) {
            Decision::Join(generation) => {
                let run = run_id(&served.name, partition, generation);
                self.resume(served, &run).await
            }
            Decision::Done(generation) => self.complete(served, partition, generation).await,
            Decision::Start { .. } | Decision::Withheld(_) | Decision::Rejected(_) => Ok(()),
        }
    }

    /// Puts a run on the desk that has a plan and no final.
    pub(super) async fn resume(
        self: &Arc<Self>,
        served: &Arc<ServedRoot>,
        run: &RunId,
    ) -> Result<(), Refusal> {
        match reopen(&served.root, run).await? {
            Some(open) => self.take_over(served, open).await,
            None => {
                tracing::warn!(%run, "claimed without a plan; submit it again to run it");
                Ok(())
            }
        }
    }

    /// Takes the leases of a run over and puts it on the desk.
    pub(super) async fn take_over(
        self: &Arc<Self>,
        served: &Arc<ServedRoot>,
        open: OpenOutline,
    ) -> Result<(), Refusal> {
        let run = open.outline.run.clone();
        if self.look(|desk, _| desk.run(&run).is_some()) {
            return Ok(());
        }
        let opener = self.own_opener(&served.name)?;
        let now = || self.clock.now();
        let Opened { run: mut active, decided } =
            take_over(served, &opener, open, self.times, now).await?;
        let facts = Arc::clone(&active.facts);
        let (epoch, done) = (active.epoch(), decided.len());
        active.set_closed(hours::why_closed(&active, jiff::Timestamp::now()));
        self.note_plan(&*facts.outline);
        let tasks = self.desk().open(active)?;
        story::run_opened(&facts.outline, served.root.reader().place());
        tracing::info!(%run, epoch, shards = facts.outline.shard_count(), done, "run taken on");
        self.perform(tasks);
        self.changed.notify_waiters();
        if !decided.is_empty() {
            let (this, served) = (Arc::clone(self), Arc::clone(served));
            nightshift_telemetry::spawn("take-stock", async move {
                let shards = decided.len();
                let count = |record: &Record, rows| this.count(record, rows, Met::Before);
                match take_stock(&served.root, &facts, &decided, count).await {
                    Ok((found, given_up)) => {
                        if let Some(active) = this.desk().run_mut(facts.run()) {
                            active.stock_taken(shards, found, given_up);
                        }
                    }
                    Err(error) => {
                        let error = describe(&error);
                        tracing::warn!(run = %facts.run(), error, "records cannot be counted");
                    }
                }
            });
        }
        Ok(())
    }
}

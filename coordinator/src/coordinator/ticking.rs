//! Telling the desk that time passes, and looking at the store where nothing moves.

use std::sync::Arc;
use std::time::Duration;

use nightshift_core::describe::describe;
use nightshift_core::ids::RunId;

use super::{Coordinator, hours};
use crate::refusal::Refusal;

/// How often the desk is told: a part of a second, so that a lease that is over is seen to be.
const TICK_MAX: Duration = Duration::from_millis(200);

impl Coordinator {
    /// Tells the desk that time passes, for ever.
    pub async fn tick(self: Arc<Self>) {
        let tick = TICK_MAX.min(Duration::from_millis(u64::from(self.times.ttl_ms()) / 10));
        let mut ticks = tokio::time::interval(tick.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.clock.now();
            let (tasks, woken, still) = {
                let mut desk = self.desk();
                let before = desk.ready(now);
                hours::tell(&mut desk, jiff::Timestamp::now());
                let tasks = desk.time_passed(now);
                let woken = desk.ready(now) > before;
                (tasks, woken, self.still(&mut desk, now))
            };
            self.perform(tasks);
            if woken {
                self.changed.notify_waiters();
            }
            for run in still {
                let this = Arc::clone(&self);
                nightshift_telemetry::spawn("look", async move {
                    if let Err(error) = this.look_at_records(&run).await {
                        tracing::warn!(%run, error = describe(&error), "records cannot be listed");
                    }
                });
            }
        }
    }

    /// Runs in which nothing was decided for a TTL. A worker may have died between its record
    /// and its report, or another coordinator may lead the run.
    fn still(
        &self,
        desk: &mut crate::desk::Desk,
        now: nightshift_core::lease::Moment,
    ) -> Vec<RunId> {
        let ttl_ms = u64::from(self.times.ttl_ms());
        let still = |run: &&crate::desk::ActiveRun| {
            !run.is_concluding() && run.undecided() > 0 && run.still_ms(now) >= ttl_ms
        };
        let runs: Vec<RunId> =
            desk.runs().filter(still).map(|run| run.facts.run().clone()).collect();
        for run in &runs {
            if let Some(active) = desk.run_mut(run) {
                active.looked(now);
            }
        }
        runs
    }

    /// Takes in records that nobody has reported.
    async fn look_at_records(self: &Arc<Self>, run: &RunId) -> Result<(), Refusal> {
        let Some(served) = self.root_of(run) else { return Ok(()) };
        let decided = served.root.decided_shards(run).await?;
        let undecided = self.look(|desk, _| desk.run(run).map(|run| run.undecided_shards()));
        let news = undecided.unwrap_or_default().into_iter().filter(|s| decided.contains(*s));
        let news: Vec<_> = news.collect();
        if !news.is_empty() {
            tracing::info!(%run, shards = news.len(), "records found that nobody reported");
            let records = served.root.records(run, news).await?;
            self.found(run, records.into_values());
        }
        Ok(())
    }
}

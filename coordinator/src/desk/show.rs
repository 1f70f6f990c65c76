//! What people are shown of a run that is under way.

use std::collections::BTreeSet;

use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::lease::{Moment, ShardPlace};
use nightshift_core::plan::Planned;
use nightshift_proto::leases::Phase;
use nightshift_proto::leases::report::Failure;
use nightshift_proto::limits::SHARD_LEASES_MAX;
use nightshift_proto::runs::get::ShardLease;
use nightshift_proto::runs::status::{RowCounts, RunState, RunStatus, ShardCounts};

use super::Desk;
use super::active::ActiveRun;

/// One shard as the desk knows it; a decided one has a record that says more.
#[derive(Debug, Clone)]
pub struct ShardLook {
    /// Where it stands.
    pub place: ShardPlace,
    /// Its rows.
    pub rows: u64,
    /// Attempts that ended without a record.
    pub failed_attempts: u32,
    /// Of those, the ones whose worker was told to go.
    pub preempted_attempts: u32,
    /// Leases that are out.
    pub leases: Vec<ShardLease>,
    /// How the last failed attempt failed.
    pub last_failure: Option<Failure>,
}

impl Desk {
    /// How a run goes; none if it is not under way.
    pub fn status(&self, now: Moment, run: &RunId) -> Option<RunStatus> {
        self.runs.get(run).map(|run| run.status(now))
    }

    /// One shard of a run; none if the run is not under way or has no such shard.
    pub fn shard(&self, now: Moment, run: &RunId, shard: ShardIndex) -> Option<ShardLook> {
        let active = self.runs.get(run)?;
        let leases = active.table.holders(shard).take(SHARD_LEASES_MAX).filter_map(|held| {
            let progress = active.progress.get(&held.token);
            let worker = self.book.get(held.worker)?;
            Some(ShardLease {
                token: held.token,
                worker: worker.name.clone(),
                phase: progress.map_or(Phase::Waiting, |progress| progress.phase),
                rows_done: progress.map_or(0, |progress| progress.rows_done),
                age_ms: now.since_ms(held.granted_at),
                heard_ms: now.since_ms(worker.seen),
            })
        });
        Some(ShardLook {
            place: active.table.place(shard)?,
            rows: active.facts.rows_of(shard),
            failed_attempts: active.table.attempts(shard),
            preempted_attempts: active.table.preempted(shard),
            leases: leases.collect(),
            last_failure: active.failures.get(&shard).cloned(),
        })
    }

    /// At most `max` shards that somebody works on, the oldest lease first, and then shards that
    /// wait out a pause; none if the run is not under way.
    pub fn open_shards(&self, now: Moment, run: &RunId, max: u32) -> Vec<(ShardIndex, ShardLook)> {
        let Some(active) = self.runs.get(run) else { return Vec::new() };
        let mut shown = BTreeSet::new();
        let leased = active.table.leased_shards();
        let open = leased.filter(|shard| shown.insert(*shard)).chain(active.table.pausing_shards());
        let looks =
            open.take(max as usize).map(|shard| Some((shard, self.shard(now, run, shard)?)));
        looks.flatten().collect()
    }
}

impl ActiveRun {
    /// How it goes at `now`.
    pub fn status(&self, now: Moment) -> RunStatus {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let Self { facts, table, standing, .. } = self;
        RunStatus {
            run: facts.run().clone(),
            state: self.state(now),
            shards: ShardCounts {
                total: facts.outline.shard_count(),
                committed: standing.committed,
                quarantined: standing.quarantined,
                leased: small(table.out()),
                delayed: small(table.delayed()),
                ready: small(table.ready()),
            },
            rows: RowCounts {
                planned: facts.outline.rows(),
                out: standing.rows_out,
                rejected: standing.rows_rejected,
                quarantined: standing.rows_quarantined,
                under_way: self.progress.values().map(|progress| progress.rows_done).sum(),
            },
            workers: small(table.holding_workers() as u64),
            epoch: table.epoch(),
            planned_at: Some(facts.outline.planned_at),
            decided_at: None,
            notice: self.told().chars().take(500).collect(),
        }
    }

    fn state(&self, now: Moment) -> RunState {
        if self.concluding {
            RunState::Concluding
        } else if self.table.adopting_until(now).is_some() {
            RunState::Recovering
        } else if self.is_closed() || self.table.paused_until().is_some_and(|until| now < until) {
            RunState::Paused
        } else {
            RunState::Running
        }
    }
}

//! Looking at runs, from the desk while they are under way and from the store afterwards.

use nightshift_core::conclusion::Final;
use nightshift_core::decide::run_id;
use nightshift_core::gates::Approval;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::lease::ShardPlace;
use nightshift_core::plan::{Outline, Planned};
use nightshift_core::record::{Record, Verdict};
use nightshift_proto::runs::get::{FoundRun, GetRun, ShardState, ShardStatus};
use nightshift_proto::runs::list::{ListRuns, RunPage};
use nightshift_proto::runs::status::RunStatus;
use nightshift_proto::runs::verdict::RunVerdict;
use std::collections::BTreeSet;

use super::super::Coordinator;
use crate::desk::ShardLook;
use crate::refusal::Refusal;
use crate::roots::ServedRoot;

impl Coordinator {
    /// One run in detail, and one of its shards if asked.
    ///
    /// # Errors
    /// If the run or the shard is not known, or the store does not answer.
    pub async fn get(&self, get: &GetRun) -> Result<FoundRun, Refusal> {
        let run = &get.run;
        let active = self.look(|desk, now| {
            let active = desk.run(run)?;
            let open = desk.open_shards(now, run, get.open_shards_max);
            Some((active.status(now), active.given_up(), open))
        });
        let shard = match get.shard {
            Some(shard) => Some(self.shard(run, shard).await?),
            None => None,
        };
        if let Some((status, quarantined, open)) = active {
            let open_shards =
                open.into_iter().map(|(shard, look)| undecided(shard, look)).collect();
            return Ok(FoundRun { run: status, verdict: None, quarantined, shard, open_shards });
        }
        let Some(verdict) = self.verdict(run).await? else {
            // Not concluded and not on the desk: says why.
            return self.status(run).await.map(|run| FoundRun {
                run,
                verdict: None,
                quarantined: Vec::new(),
                shard,
                open_shards: Vec::new(),
            });
        };
        let (short, quarantined) = RunVerdict::of(&verdict, self.approval(&verdict).await?);
        Ok(FoundRun {
            run: RunStatus::concluded(&verdict),
            verdict: Some(short),
            quarantined,
            shard,
            open_shards: Vec::new(),
        })
    }

    /// How a run goes and, once it is over, its verdict.
    ///
    /// # Errors
    /// If the run is not known, or the store does not answer.
    pub async fn glance(&self, run: &RunId) -> Result<(RunStatus, Option<RunVerdict>), Refusal> {
        let status = self.status(run).await?;
        if !super::is_over(status.state) {
            return Ok((status, None));
        }
        let Some(verdict) = self.verdict(run).await? else { return Ok((status, None)) };
        let approval = self.approval(&verdict).await?;
        Ok((status, Some(RunVerdict::of(&verdict, approval).0)))
    }

    /// What a person decided about a run that its gate withheld.
    async fn approval(&self, verdict: &Final) -> Result<Option<Approval>, Refusal> {
        let Some(served) = self.root_of(&verdict.run).filter(|_| verdict.waits_for_approval())
        else {
            return Ok(None);
        };
        let RunId { partition, generation, .. } = verdict.run;
        Ok(served.root.read(&Object::Approval { partition, generation }).await?)
    }

    async fn shard(&self, run: &RunId, shard: ShardIndex) -> Result<ShardStatus, Refusal> {
        let unknown_run = || Refusal::UnknownRun { run: run.clone() };
        let served = self.root_of(run).ok_or_else(unknown_run)?;
        let object = Object::Record { run: run.clone(), shard };
        let record: Option<Record> = served.root.read(&object).await?;
        let look = self.look(|desk, now| desk.shard(now, run, shard));
        let rows = match &look {
            Some(look) => look.rows,
            None => {
                let plan: Option<Outline> =
                    served.root.read(&Object::Plan { run: run.clone() }).await?;
                let plan = plan.ok_or_else(unknown_run)?;
                let shards = plan.shard_count();
                let found = plan.shard_rows(shard);
                found.ok_or_else(|| Refusal::UnknownShard { run: run.clone(), shard, shards })?
            }
        };
        let state = match (&record, look.as_ref().map(|look| look.place)) {
            (Some(record), _) => match record.verdict {
                Verdict::Committed(_) => ShardState::Committed,
                Verdict::Quarantined(_) => ShardState::Quarantined,
            },
            (None, Some(ShardPlace::Delayed)) => ShardState::Delayed,
            (None, Some(ShardPlace::Out)) => ShardState::Leased,
            (None, _) => ShardState::Ready,
        };
        let attempts = match record.as_ref().map(|record| &record.verdict) {
            Some(Verdict::Quarantined(given_up)) => Some(given_up.attempts),
            _ => None,
        };
        Ok(ShardStatus {
            shard,
            state,
            rows,
            failed_attempts: attempts
                .or_else(|| look.as_ref().map(|look| look.failed_attempts))
                .unwrap_or_default(),
            preempted_attempts: match record {
                Some(_) => 0,
                None => look.as_ref().map_or(0, |look| look.preempted_attempts),
            },
            attempt: record.map(|record| record.attempt),
            leases: look.as_ref().map(|look| look.leases.clone()).unwrap_or_default(),
            last_failure: look.and_then(|look| look.last_failure),
        })
    }

    /// One page of runs: those under way first, then by date, the newest first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self, list: &ListRuns) -> Result<RunPage, Refusal> {
        let wanted = |run: &RunId| {
            list.name.as_ref().is_none_or(|name| *name == run.name)
                && list.partition.is_none_or(|partition| partition == run.partition)
        };
        let active = self.look(|desk, now| {
            let runs = desk.runs().filter(|run| wanted(run.facts.run()));
            runs.map(|run| run.status(now)).collect::<Vec<_>>()
        });
        let mut keys: Vec<(bool, RunId)> =
            active.iter().map(|status| (true, status.run.clone())).collect();
        if !list.unfinished {
            for served in self.roots.all() {
                if list.name.as_ref().is_none_or(|name| *name == served.name) {
                    let runs = concluded_runs(&served).await?;
                    keys.extend(runs.into_iter().filter(wanted).map(|run| (false, run)));
                }
            }
        }
        keys.sort_by_key(|key| std::cmp::Reverse(place(key)));
        // A run may have been concluded between the two looks; then it is shown as concluded.
        let from = match &list.page {
            Some(page) => keys.iter().position(|(_, run)| run.to_string() == page.as_str()),
            None => Some(0),
        };
        let size = list.page_size as usize;
        let rest = keys.get(from.unwrap_or(keys.len())..).unwrap_or_default();
        let next = rest.get(size).and_then(|(_, run)| run.to_string().parse().ok());
        let mut page = Vec::with_capacity(size.min(rest.len()));
        for (_, run) in rest.iter().take(size) {
            match active.iter().find(|status| status.run == *run) {
                Some(status) => page.push(status.clone()),
                None => page.extend(self.verdict(run).await?.as_ref().map(RunStatus::concluded)),
            }
        }
        Ok(RunPage { runs: page, next })
    }
}

/// A shard of which the desk knows that it has no record yet.
fn undecided(shard: ShardIndex, look: ShardLook) -> ShardStatus {
    ShardStatus {
        shard,
        state: match look.place {
            ShardPlace::Delayed => ShardState::Delayed,
            ShardPlace::Out => ShardState::Leased,
            ShardPlace::Ready | ShardPlace::Decided => ShardState::Ready,
        },
        rows: look.rows,
        failed_attempts: look.failed_attempts,
        preempted_attempts: look.preempted_attempts,
        attempt: None,
        leases: look.leases,
        last_failure: look.last_failure,
    }
}

/// Runs under way first, then the newest date, the newest generation.
fn place((active, run): &(bool, RunId)) -> (bool, String, u32, String) {
    (*active, run.partition.to_string(), run.generation.get(), run.name.to_string())
}

async fn concluded_runs(served: &ServedRoot) -> Result<BTreeSet<RunId>, Refusal> {
    let concluded = served.root.generations(&Prefix::AllFinals).await?;
    let run = |(partition, generation)| run_id(&served.name, partition, generation);
    Ok(concluded.into_iter().map(run).collect())
}

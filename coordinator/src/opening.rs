//! From a stored plan to a run on the desk.

use std::sync::Arc;

use futures::TryStreamExt;
use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::ids::{Digest, RunId};
use nightshift_core::layout::Object;
use nightshift_core::lease::{LeaseTable, Moment};
use nightshift_core::plan::{Plan, Shard, ShardSet};
use nightshift_core::record::{Record, Verdict};
use nightshift_storage::error::StoreError;
use nightshift_storage::opening::{Opener, open_epoch};
use nightshift_storage::root::Reader;
use sha2::Digest as _;

use crate::desk::{ActiveRun, Decided, RunFacts, Standing};
use crate::roots::ServedRoot;
use crate::settings::LeaseTimes;

/// A run that is ready to be put on the desk, and the shards that were decided before.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) run: ActiveRun,
    pub(crate) decided: ShardSet,
}

/// Takes the leases of a run over: opens the next epoch, and looks at which shards have records.
///
/// From the second epoch on, leases of the one before may still be out, so they are awaited for
/// one TTL before shards are granted.
///
/// # Errors
/// If the store fails; [`StoreError::Missing`] if the run has no plan.
pub(crate) async fn take_over(
    served: &ServedRoot,
    opener: &Opener,
    run: &RunId,
    times: LeaseTimes,
    now: impl Fn() -> Moment,
) -> Result<Opened, StoreError> {
    let (facts, crash_budget) = facts(served, run).await?;
    let epoch = open_epoch(&served.root, opener, run).await?;
    let decided = served.root.decided_shards(run).await?;
    let shards = u32::try_from(facts.shard_rows.len()).unwrap_or(u32::MAX);
    let rules = times.rules(crash_budget);
    let mut table = LeaseTable::new(rules, epoch, shards, &decided, std::iter::empty());
    let now = now();
    if epoch > 1 {
        table = table.awaiting_adoption(now);
    }
    // What they came to is read later; until then they count as committed.
    let committed = u32::try_from(decided.len()).unwrap_or(u32::MAX);
    let standing = Standing { committed, ..Standing::default() };
    let run = ActiveRun::new(Arc::new(facts), table, standing, now);
    Ok(Opened { run, decided })
}

/// What the stored plan says, without its slices; and its crash budget.
async fn facts(served: &ServedRoot, run: &RunId) -> Result<(RunFacts, u32), StoreError> {
    let object = Object::Plan { run: run.clone() };
    let missing =
        || StoreError::Missing { path: served.root.path_of(&object).display().to_string() };
    let plan: Plan = served.root.read(&object).await?.ok_or_else(missing)?;
    let bytes = served.root.get(&object).await?.ok_or_else(missing)?;
    let facts = RunFacts {
        run: run.clone(),
        output_root: served.output.clone(),
        plan_digest: Digest(sha2::Sha256::digest(&bytes).into()),
        model_digest: plan.model.digest,
        rows: plan.rows,
        shard_rows: plan.shards.iter().map(Shard::rows).collect(),
        planned_at: plan.planned_at,
    };
    Ok((facts, plan.task.crash_budget))
}

/// What the records of `shards` came to, added up, and the shards that were given up.
///
/// # Errors
/// If a record cannot be read.
pub(crate) async fn take_stock(
    root: &Reader,
    facts: &RunFacts,
    shards: &ShardSet,
) -> Result<(Standing, Vec<QuarantinedShard>), StoreError> {
    let mut records = root.records_in_order(&facts.run, shards.iter());
    let mut standing = Standing::default();
    let mut given_up = Vec::new();
    while let Some((_, record)) = records.try_next().await? {
        let Some(record) = record else { continue };
        standing.add(Decided::from(&record), facts.rows_of(record.shard));
        given_up.extend(quarantined(&record, facts));
    }
    Ok((standing, given_up))
}

/// A record of a shard that was given up, as people are shown it.
pub(crate) fn quarantined(record: &Record, facts: &RunFacts) -> Option<QuarantinedShard> {
    let Verdict::Quarantined(given_up) = &record.verdict else { return None };
    Some(QuarantinedShard {
        shard: record.shard,
        rows: facts.rows_of(record.shard),
        class: given_up.class,
        reason: given_up.reason.clone(),
        message: given_up.message.clone(),
    })
}

//! From a stored plan to a run on the desk.

use std::sync::Arc;

use futures::TryStreamExt;
use nightshift_core::conclusion::QuarantinedShard;
use nightshift_core::gates::canary_shard;
use nightshift_core::lease::{LeaseTable, Moment};
use nightshift_core::plan::{Planned, ShardSet};
use nightshift_core::record::{Record, Verdict};
use nightshift_storage::error::StoreError;
use nightshift_storage::opening::{OpenOutline, Opener, open_epoch};
use nightshift_storage::root::Reader;

use crate::desk::{ActiveRun, Decided, RunFacts, Standing};
use crate::roots::ServedRoot;
use crate::settings::LeaseTimes;

/// A run that is ready to be put on the desk, and the shards that were decided before.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) run: ActiveRun,
    pub(crate) decided: ShardSet,
}

/// Takes the leases of a run over, by opening its next epoch.
///
/// From the second epoch on, leases of the one before may still be out. They are awaited for one
/// TTL, and until then only the half of the shards is granted that was furthest from its turn.
///
/// # Errors
/// If the store fails.
pub(crate) async fn take_over(
    served: &ServedRoot,
    opener: &Opener,
    open: OpenOutline,
    times: LeaseTimes,
    now: impl Fn() -> Moment,
) -> Result<Opened, StoreError> {
    let OpenOutline { outline, plan_sha256, decided, .. } = open;
    let epoch = open_epoch(&served.root, opener, &outline.run).await?;
    let rules = times.rules(outline.task.crash_budget);
    let shards = outline.shard_count();
    // Every other incarnation begins at the other end: what the one before had leased comes last,
    // and should it still be alive, the two meet once instead of granting the same shards.
    let long = outline.long_shards();
    let mut table = if epoch.is_multiple_of(2) {
        let long: ShardSet = long.into_iter().collect();
        let rest = outline.indexes().rev().filter(|shard| !long.contains(*shard));
        LeaseTable::new(rules, epoch, shards, &decided, rest)
    } else {
        LeaseTable::new(rules, epoch, shards, &decided, long)
    };
    if let Some(shard) = canary_shard(&outline) {
        table = table.with_canary(shard);
    }
    let now = now();
    if epoch > 1 {
        // At least one: the last shard of a run is most likely being scored.
        let kept_back = table.undecided().div_ceil(2);
        table = table.awaiting_adoption(now).keeping_back(kept_back);
    }
    // What they came to is read later; until then they count as committed.
    let standing = Standing { committed: decided.len(), ..Standing::default() };
    let facts = RunFacts { outline, output_root: served.output.clone(), plan_digest: plan_sha256 };
    Ok(Opened { run: ActiveRun::new(Arc::new(facts), table, standing, now), decided })
}

/// What the records of `shards` came to, added up, and the shards that were given up;
/// `count` is told each with its rows.
///
/// # Errors
/// If a record cannot be read.
pub(crate) async fn take_stock(
    root: &Reader,
    facts: &RunFacts,
    shards: &ShardSet,
    count: impl Fn(&Record, u64),
) -> Result<(Standing, Vec<QuarantinedShard>), StoreError> {
    let mut records = root.records_in_order(facts.run(), shards.iter());
    let mut standing = Standing::default();
    let mut given_up = Vec::new();
    while let Some((_, record)) = records.try_next().await? {
        let Some(record) = record else { continue };
        let rows = facts.rows_of(record.shard);
        standing.add(Decided::from(&record), rows);
        count(&record, rows);
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

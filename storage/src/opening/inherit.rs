//! Inheriting: what an earlier generation has committed is not done again.

use futures::TryStreamExt;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Inheritance, Outline, Planned};
use nightshift_core::record::{Record, Verdict};

use crate::error::StoreError;
use crate::root::{Probed, Reader};

/// Records that are taken over at the same time: enough for them to share the syncs of their
/// directory, few enough to stay far below the blocking threads of the runtime.
const TAKE_OVERS_MAX: usize = 16;

/// The committed shards of `from`, if its plan is the same work cut the same way.
pub(super) async fn inheritance(
    root: &Reader,
    from: RunId,
    fresh: &Outline,
) -> Result<Option<Inheritance>, StoreError> {
    let object = Object::Plan { run: from.clone() };
    let Some((earlier, _)) = root.read_hashed::<Outline>(&object).await? else { return Ok(None) };
    if !earlier.is_same_work(fresh) {
        return Ok(None);
    }
    let records = root.records_in_order(&from, earlier.indexes());
    let committed = records.try_filter_map(async |(shard, record)| {
        Ok(record.filter(|record| record.committed().is_some()).map(|_| shard))
    });
    let shards: Vec<ShardIndex> = committed.try_collect().await?;
    Ok((!shards.is_empty()).then_some(Inheritance { from, shards }))
}

/// Writes the records of inherited shards; their data stays where the first attempt staged it.
pub(super) async fn take_over(
    root: &Probed,
    plan: &(impl Planned + Sync),
    inheritance: &Inheritance,
) -> Result<(), StoreError> {
    let decided = root.decided_shards(plan.run()).await?;
    let missing = inheritance.shards.iter().copied().filter(|shard| !decided.contains(*shard));
    let earlier = root.records_in_order(&inheritance.from, missing);
    earlier
        .map_ok(|(shard, record)| async move {
            if let Some(inherited) = record.and_then(|record| inherited(plan, shard, record)) {
                // Whoever wrote it, the shard has its record now.
                let _ = root.take_over(&inherited).await?;
            }
            Ok(())
        })
        .try_buffer_unordered(TAKE_OVERS_MAX)
        .try_collect()
        .await
}

/// The record of a committed shard as a later run has it.
fn inherited(plan: &impl Planned, shard: ShardIndex, record: Record) -> Option<Record> {
    let Verdict::Committed(mut committed) = record.verdict else { return None };
    committed.output.visible = Object::part(plan, shard);
    if let Some(rejects) = &mut committed.rejects {
        rejects.visible = Object::rejects(plan, shard);
    }
    let origin = record.inherited_from.unwrap_or(record.run);
    Some(Record {
        run: plan.run().clone(),
        inherited_from: Some(origin),
        verdict: Verdict::Committed(committed),
        ..record
    })
}

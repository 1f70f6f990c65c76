//! The full report of a run, from its stored documents.

use futures::TryStreamExt;
use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::Planned;
use nightshift_core::report::Report;
use nightshift_core::report::study::{FullReport, Study};
use nightshift_storage::error::StoreError;
use nightshift_storage::root::Reader;

/// Adds to `report` what the records of the run tell, a few of them in memory at a time.
///
/// # Errors
/// If a record cannot be read.
pub async fn full_report<P: Planned + Sync>(
    root: &Reader,
    plan: &P,
    report: Report,
) -> Result<FullReport, StoreError> {
    let mut study = Study::new(plan);
    let shards = (0..plan.shard_count()).map(ShardIndex);
    let mut records = std::pin::pin!(root.records_in_order(plan.run(), shards));
    while let Some((_, record)) = records.try_next().await? {
        record.iter().for_each(|record| study.add(record));
    }
    Ok(study.finish(report))
}

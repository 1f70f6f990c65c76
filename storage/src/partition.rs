//! What the store says about partitions and runs: facts for [`nightshift_core::decide`].

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use nightshift_core::conclusion::Final;
use nightshift_core::decide::PartitionFacts;
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::record::Record;

use crate::error::StoreError;
use crate::root::Reader;

/// Records that are read at the same time: enough to hide the latency of one read, few enough
/// to stay far below the blocking threads of the runtime.
const RECORD_READS_MAX: usize = 16;

impl Reader {
    /// What is claimed and concluded for `partition`.
    ///
    /// # Errors
    /// If the store does not answer, or the newest final cannot be read.
    pub async fn partition_facts(
        &self,
        partition: Partition,
    ) -> Result<PartitionFacts, StoreError> {
        let claimed = self.newest(&Prefix::Claims(partition)).await?;
        let concluded = match self.newest(&Prefix::Finals(partition)).await? {
            None => None,
            Some(generation) => {
                let found: Option<Final> =
                    self.read(&Object::Final { partition, generation }).await?;
                found.map(|found| (generation, found.state))
            }
        };
        Ok(PartitionFacts { claimed, concluded })
    }

    /// Every partition that was ever claimed or concluded.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn partitions(&self) -> Result<BTreeSet<Partition>, StoreError> {
        let mut found = BTreeSet::new();
        for prefix in [Prefix::AllClaims, Prefix::AllFinals] {
            let mut objects = self.list(&prefix);
            while let Some(listed) = objects.try_next().await? {
                if let Some(Object::Claim { partition, .. } | Object::Final { partition, .. }) =
                    listed.object
                {
                    found.insert(partition);
                }
            }
        }
        Ok(found)
    }

    /// Shards of `run` that have a record.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn decided_shards(&self, run: &RunId) -> Result<BTreeSet<ShardIndex>, StoreError> {
        let objects = self.list(&Prefix::Records(run.clone()));
        let shards = objects
            .try_filter_map(async |listed| Ok(listed.object.as_ref().and_then(Object::shard)));
        shards.try_collect().await
    }

    /// Reads the records of `shards`; one that does not exist is left out.
    ///
    /// # Errors
    /// If one cannot be read or is malformed.
    pub async fn records(
        &self,
        run: &RunId,
        shards: impl IntoIterator<Item = ShardIndex>,
    ) -> Result<BTreeMap<ShardIndex, Record>, StoreError> {
        let read = |shard| {
            let object = Object::Record { run: run.clone(), shard };
            async move { Ok((shard, self.read::<Record>(&object).await?)) }
        };
        let found: Vec<(ShardIndex, Option<Record>)> = futures::stream::iter(shards)
            .map(read)
            .buffer_unordered(RECORD_READS_MAX)
            .try_collect()
            .await?;
        Ok(found.into_iter().filter_map(|(shard, record)| Some((shard, record?))).collect())
    }

    /// The highest generation under a prefix of claims or finals.
    async fn newest(&self, prefix: &Prefix) -> Result<Option<Generation>, StoreError> {
        let objects = self.list(prefix);
        objects
            .try_fold(None, async |newest, listed| {
                Ok(newest.max(listed.object.as_ref().and_then(Object::generation)))
            })
            .await
    }
}

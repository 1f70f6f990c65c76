//! What the store says about partitions and runs: facts for [`nightshift_core::decide`].

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use nightshift_core::conclusion::Final;
use nightshift_core::decide::PartitionFacts;
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::ShardSet;
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

    /// Shards of `run` that have a record; what this says is durable.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn decided_shards(&self, run: &RunId) -> Result<ShardSet, StoreError> {
        let mut objects = self.list(&Prefix::Records(run.clone()));
        let mut decided = ShardSet::default();
        while let Some(listed) = objects.try_next().await? {
            decided.extend(listed.object.as_ref().and_then(Object::shard));
        }
        Ok(decided)
    }

    /// Reads the records of `shards` one after the other, in the order given and with bounded
    /// memory; none for one that does not exist. An item is an error if a record cannot be read
    /// or is malformed.
    pub fn records_in_order<'a, I>(
        &'a self,
        run: &'a RunId,
        shards: I,
    ) -> impl Stream<Item = Result<(ShardIndex, Option<Record>), StoreError>> + Send + 'a
    where
        I: IntoIterator<Item = ShardIndex>,
        I::IntoIter: Send + 'a,
    {
        let read = move |shard| async move {
            let object = Object::Record { run: run.clone(), shard };
            Ok((shard, self.read::<Record>(&object).await?))
        };
        stream::iter(shards).map(read).buffered(RECORD_READS_MAX)
    }

    /// Reads the records of `shards`, all into memory: about a kilobyte each. One that does not
    /// exist is left out.
    ///
    /// # Errors
    /// If one cannot be read or is malformed.
    pub async fn records<I>(
        &self,
        run: &RunId,
        shards: I,
    ) -> Result<BTreeMap<ShardIndex, Record>, StoreError>
    where
        I: IntoIterator<Item = ShardIndex>,
        I::IntoIter: Send,
    {
        let found = self.records_in_order(run, shards);
        found
            .try_filter_map(async |(shard, record)| Ok(record.map(|record| (shard, record))))
            .try_collect()
            .await
    }

    /// The newest epoch of `run`; 0 if none was opened.
    pub(crate) async fn newest_epoch(&self, run: &RunId) -> Result<u64, StoreError> {
        let objects = self.list(&Prefix::Epochs(run.clone()));
        objects
            .try_fold(0, async |newest: u64, listed| {
                Ok(match listed.object {
                    Some(Object::Epoch { number, .. }) => newest.max(number),
                    _ => newest,
                })
            })
            .await
    }

    /// The highest generation under a prefix of claims or finals.
    pub(crate) async fn newest(&self, prefix: &Prefix) -> Result<Option<Generation>, StoreError> {
        let objects = self.list(prefix);
        objects
            .try_fold(None, async |newest, listed| {
                Ok(newest.max(listed.object.as_ref().and_then(Object::generation)))
            })
            .await
    }
}

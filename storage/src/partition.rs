//! What the store says about partitions and runs: facts for [`nightshift_core::decide`].

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::{PartitionFacts, Release};
use nightshift_core::gates::{Approval, Judgement};
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Planned, ShardSet};
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
        let mut facts = PartitionFacts { claimed, ..PartitionFacts::default() };
        let Some(generation) = self.newest(&Prefix::Finals(partition)).await? else {
            return Ok(facts);
        };
        let verdict: Option<Final> = self.read(&Object::Final { partition, generation }).await?;
        if let Some(verdict) = verdict {
            facts.concluded = Some((generation, verdict.state));
            facts.release = Release::of(&verdict, self.judgement(&verdict).await?);
        }
        Ok(facts)
    }

    /// Whether readers may see the files of a run, by the `verdict` that it has: always without a
    /// gate, and with one as soon as it succeeded and was accepted.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_published(
        &self,
        plan: &impl Planned,
        verdict: Option<&Final>,
    ) -> Result<bool, StoreError> {
        match (plan.gate(), verdict) {
            (None, _) => Ok(true),
            (Some(_), Some(verdict)) if verdict.state == FinalState::Succeeded => {
                Ok(Release::of(verdict, self.judgement(verdict).await?).is_accepted())
            }
            (Some(_), _) => Ok(false),
        }
    }

    /// What a person decided about a run that a gate withheld; none if nobody has yet, or if there
    /// is nothing to decide.
    ///
    /// # Errors
    /// If the store does not answer, or the approval cannot be read.
    pub async fn judgement(&self, verdict: &Final) -> Result<Option<Judgement>, StoreError> {
        if !verdict.waits_for_approval() {
            return Ok(None);
        }
        let RunId { partition, generation, .. } = verdict.run;
        let approval: Option<Approval> =
            self.read(&Object::Approval { partition, generation }).await?;
        Ok(approval.map(|approval| approval.judgement))
    }

    /// Every partition that was ever claimed or concluded.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn partitions(&self) -> Result<BTreeSet<Partition>, StoreError> {
        let mut found = BTreeSet::new();
        for prefix in [Prefix::AllClaims, Prefix::AllFinals] {
            let generations = self.generations(&prefix).await?;
            found.extend(generations.into_iter().map(|(partition, _)| partition));
        }
        Ok(found)
    }

    /// What lies under a prefix of claims or finals: dates with their generations, in no order.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn generations(
        &self,
        prefix: &Prefix,
    ) -> Result<Vec<(Partition, Generation)>, StoreError> {
        let objects = self.list(prefix);
        objects
            .try_filter_map(async |listed| {
                Ok(match listed.object {
                    Some(
                        Object::Claim { partition, generation }
                        | Object::Final { partition, generation },
                    ) => Some((partition, generation)),
                    _ => None,
                })
            })
            .try_collect()
            .await
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

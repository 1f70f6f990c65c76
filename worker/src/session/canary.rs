//! A canary that failed: everything else is given up, without a row of it being scored.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use nightshift_core::exit::Exit;
use nightshift_core::gates::{Canary, canary, canary_shard};
use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::Plan;
use nightshift_core::record::{CANARY_FAILED, FailureClass, Record};
use nightshift_storage::root::Probed;

use super::{RunError, Session};
use crate::commit::quarantine;
use crate::identity::new_attempt;
use crate::source::{Failure, Scope};

/// Records that are written at the same time, so that they share the syncs of their directory.
const QUARANTINES_MAX: usize = 16;

/// How the canary of a run stands, by the records that there are.
pub(super) fn standing(plan: &Plan, records: &BTreeMap<ShardIndex, Record>) -> Canary {
    let record = canary_shard(plan).and_then(|shard| records.get(&shard));
    canary(plan, record)
}

impl Session {
    /// Gives every undecided shard up because the canary failed, and takes in what came of it.
    pub(super) fn give_up_rest(
        &self,
        root: &Probed,
        plan: &Plan,
        records: &mut BTreeMap<ShardIndex, Record>,
        message: String,
    ) -> Result<(), RunError> {
        tracing::warn!(run = %plan.run, message, "the canary failed; giving up what is undecided");
        let failure = Failure {
            class: FailureClass::Data,
            reason: CANARY_FAILED.to_owned(),
            message,
            exit: Exit::Data,
            scope: Scope::Everywhere,
        };
        let undecided: Vec<ShardIndex> =
            plan.indexes().filter(|shard| !records.contains_key(shard)).collect();
        let written = stream::iter(undecided)
            .map(|shard| {
                let failure = failure.clone();
                async move {
                    let attempt = new_attempt()?;
                    let record = quarantine(root, plan, &self.who, shard, attempt, failure, 0);
                    Ok::<_, RunError>((shard, record.await?))
                }
            })
            .buffer_unordered(QUARANTINES_MAX)
            .try_collect::<Vec<_>>();
        records.extend(self.runtime.block_on(written)?);
        Ok(())
    }
}

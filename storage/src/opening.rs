//! Opening a run: claim → plan → what is done already, and the epoch of who leases its shards.
//!
//! Every step is created once, so any number of processes may open the same run at the same
//! time, and all work from the stored plan. A process that scores takes the whole plan and the
//! records ([`open_run`]); one that only leases takes the outline, and which shards are decided
//! ([`open_outline`], [`reopen`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use nightshift_core::backfill::{Dead, Work};
use nightshift_core::decide::{Claim, Decision, Epoch, decide, run_id};
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex, SpecName};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::{Outline, Plan};
use nightshift_core::record::Record;
use thiserror::Error;

use crate::documents::Settled;
use crate::error::StoreError;
use crate::root::{Probed, Reader};

mod inherit;
mod outlined;
mod reference;

use inherit::{inheritance, take_over};
pub use outlined::{OpenOutline, open_outline, reopen};
use reference::pin_reference;

/// Claims that are tried before the store counts as unusable: each lost one means that another
/// process went one generation further in between.
const CLAIMS_MAX: u32 = 16;
/// Epochs that are tried: each lost one means that another process opened the run meanwhile.
const EPOCHS_MAX: u64 = 1_000;

/// Who opens a run, and how.
#[derive(Debug, Clone)]
pub struct Opener {
    /// The spec's name.
    pub name: SpecName,
    /// Host and process, for people.
    pub who: String,
    /// A random id of this request.
    pub request: String,
    /// Now, by this process's clock.
    pub now: Timestamp,
    /// Execute again what is done, and why.
    pub force: Option<String>,
    /// Which retry of a backfill this is; 0 for none.
    pub retry: u32,
}

/// A run that is open for work.
#[derive(Debug)]
pub struct OpenRun {
    /// The stored plan.
    pub plan: Arc<Plan>,
    /// Whether this process claimed the run, and so goes first.
    pub claimed: bool,
    /// Records that exist already.
    pub records: BTreeMap<ShardIndex, Record>,
}

/// Why a run could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other processes kept claiming generations.
    #[error(
        "the claim of {partition} was lost {CLAIMS_MAX} times in a row; see who else runs this spec"
    )]
    Contended {
        /// The date, or `all`.
        partition: Partition,
    },
}

/// What is to be done about `partition`, without touching the root.
///
/// # Errors
/// If the store does not answer.
pub async fn decision_for(
    root: &Reader,
    partition: Partition,
    force: bool,
) -> Result<Decision, StoreError> {
    Ok(decide(root.partition_facts(partition).await?, force))
}

impl Opener {
    fn claim(
        &self,
        partition: Partition,
        generation: Generation,
        inherit: Option<Generation>,
    ) -> Claim {
        Claim {
            version: Claim::VERSION,
            run: run_id(&self.name, partition, generation),
            request: self.request.clone(),
            claimed_by: self.who.clone(),
            claimed_at: self.now,
            forced: self.force.clone(),
            inherits: inherit.map(|from| run_id(&self.name, partition, from)),
            retry: self.retry,
        }
    }

    fn epoch(&self, run: &RunId, number: u64) -> Epoch {
        Epoch {
            version: Epoch::VERSION,
            run: run.clone(),
            number,
            opened_by: self.who.clone(),
            opened_at: self.now,
        }
    }
}

/// Takes the work for the process of `opener` alone, by the claim of a generation or the next
/// epoch of a run; false if another process was faster. Whoever takes it opens the run next, with
/// the same opener.
///
/// # Errors
/// If the store fails.
pub async fn take(
    root: &Probed,
    opener: &Opener,
    partition: Partition,
    work: Work,
) -> Result<bool, StoreError> {
    match work {
        Work::Start { generation, inherit, instead_of, .. } => {
            if let Some(dead) = instead_of
                && !take_dead(root, opener, partition, dead).await?
            {
                return Ok(false);
            }
            let claim = opener.claim(partition, generation, inherit);
            let object = Object::Claim { partition, generation };
            Ok(match root.create_once(&object, &claim).await? {
                Settled::Created => true,
                Settled::Existing(other) => other.request == opener.request,
            })
        }
        // Whoever claims a later generation in the place of a dead run takes its next epoch first:
        // a later one is only of use if there is no such claim.
        Work::Join(dead) => Ok(take_dead(root, opener, partition, dead).await?
            && root.newest(&Prefix::Claims(partition)).await? <= Some(dead.generation)),
    }
}

/// Opens the epoch after the one that was seen, if nobody else has.
async fn take_dead(
    root: &Probed,
    opener: &Opener,
    partition: Partition,
    dead: Dead,
) -> Result<bool, StoreError> {
    let run = run_id(&opener.name, partition, dead.generation);
    let epoch = opener.epoch(&run, dead.epoch + 1);
    let object = Object::Epoch { run, number: epoch.number };
    Ok(matches!(root.create_once(&object, &epoch).await?, Settled::Created))
}

/// Opens the run that `decision` names, with `fresh` as its plan if it has none yet.
///
/// The run of `fresh` is replaced by the run that is opened. When a shard of the generation to
/// inherit from is committed and both plans are the same work, its record is taken over.
///
/// # Errors
/// See [`OpenError`].
pub async fn open_run(
    root: &Probed,
    opener: &Opener,
    partition: Partition,
    decision: Decision,
    fresh: Plan,
) -> Result<OpenRun, OpenError> {
    let (generation, inherit, claimed) = claim(root, opener, partition, decision).await?;
    let run = run_id(&opener.name, partition, generation);
    let plan = stored_plan(root, run, inherit, fresh).await?;
    if let Some(inheritance) = &plan.inherits {
        take_over(root, &plan, inheritance).await?;
    }
    let decided = root.decided_shards(&plan.run).await?;
    let records = root.records(&plan.run, &decided).await?;
    Ok(OpenRun { plan: Arc::new(plan), claimed, records })
}

/// Claims the generation to execute, or finds the one that another process claimed.
async fn claim(
    root: &Probed,
    opener: &Opener,
    partition: Partition,
    mut decision: Decision,
) -> Result<(Generation, Option<Generation>, bool), OpenError> {
    for _ in 0..CLAIMS_MAX {
        let (generation, inherit) = match decision {
            // A run that was concluded since the decision is opened like any other: all of its
            // records exist, so there is nothing left to do in it.
            Decision::Join(generation)
            | Decision::Done(generation)
            | Decision::Withheld(generation)
            | Decision::Rejected(generation) => {
                // Its claimant may have died before it stored a plan: what it meant to inherit
                // stands in the claim.
                let object = Object::Claim { partition, generation };
                let claim: Option<Claim> = root.read(&object).await?;
                let inherit = claim.and_then(|claim| claim.inherits);
                return Ok((generation, inherit.map(|run| run.generation), false));
            }
            Decision::Start { generation, inherit } => (generation, inherit),
        };
        let claim = opener.claim(partition, generation, inherit);
        match root.create_once(&Object::Claim { partition, generation }, &claim).await? {
            Settled::Created => return Ok((generation, inherit, true)),
            Settled::Existing(other) if other.request == opener.request => {
                return Ok((generation, inherit, true));
            }
            Settled::Existing(_) if opener.force.is_some() => {
                decision = decision_for(root, partition, true).await?;
            }
            Settled::Existing(other) => {
                let inherit = other.inherits.map(|run| run.generation);
                return Ok((generation, inherit, false));
            }
        }
    }
    Err(OpenError::Contended { partition })
}

/// The plan of `run`: the stored one, or `fresh` if there is none.
async fn stored_plan(
    root: &Probed,
    run: RunId,
    inherit: Option<Generation>,
    mut fresh: Plan,
) -> Result<Plan, StoreError> {
    let object = Object::Plan { run: run.clone() };
    if let Some(stored) = root.read(&object).await? {
        return Ok(stored);
    }
    if let Some(generation) = inherit {
        let from = RunId { generation, ..run.clone() };
        fresh.inherits = inheritance(root, from, &Outline::of(&fresh)).await?;
    }
    pin_reference(root, &run, &mut fresh).await?;
    fresh.run = run;
    match root.create_once(&object, &fresh).await? {
        Settled::Created => Ok(fresh),
        Settled::Existing(stored) => Ok(stored),
    }
}

/// Opens the next epoch of `run`, for a process that is about to lease its shards.
///
/// # Errors
/// If the store fails.
pub async fn open_epoch(root: &Probed, opener: &Opener, run: &RunId) -> Result<u64, StoreError> {
    let mut number = root.newest_epoch(run).await? + 1;
    for _ in 0..EPOCHS_MAX {
        let epoch = opener.epoch(run, number);
        match root.create_once(&Object::Epoch { run: run.clone(), number }, &epoch).await? {
            Settled::Created => break,
            Settled::Existing(_) => number += 1,
        }
    }
    Ok(number)
}

#[cfg(test)]
mod tests;

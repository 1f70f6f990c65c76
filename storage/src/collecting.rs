//! Collecting: the data of superseded generations, of lost attempts, and what killed processes
//! left behind goes. This is the only code that deletes what a run has made.
//!
//! What may go is decided by [`nightshift_core::retention`]; here facts are read, and files
//! removed. The order for a generation that goes:
//!
//! 1. every file is looked at, and every record that may name one is read: what cannot be read
//!    ends the collection of this date before anything is touched;
//! 2. its `Removal` is created, durably: from here on missing files are no damage;
//! 3. `_SUCCESS` goes, durably, so that readers stop trusting the folder;
//! 4. shard by shard its visible files and staged data go, except what a record of a generation
//!    that stays names;
//! 5. the empty folders go.
//!
//! A collector that is killed anywhere is followed by one that finds the same fate and goes on;
//! two at once remove the same files. Claims, plans, records and finals are never touched.
//!
//! A process that slept for longer than the grace may make a file of a removed generation visible
//! again; the next collection takes it.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use jiff::Timestamp;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::{Claim, Release, run_id};
use nightshift_core::exit::Exit;
use nightshift_core::gates::Approval;
use nightshift_core::ids::{Generation, Partition, RunId, ShardIndex, SpecName};
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::retention::{Fate, GenerationFacts, Standing, judge};
use nightshift_core::spec::Retention;
use serde::Serialize;
use thiserror::Error;

use crate::error::StoreError;
use crate::root::Reader;

mod names;
mod removing;
mod stray;
mod sweep;

use names::Hand;
pub use removing::collect;
pub use stray::{Place, collect_strays, find_strays};
use sweep::Sweep;

/// Whose dates are collected, and by which rules.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The spec's name, which is in the names of its runs.
    pub name: SpecName,
    /// What is kept.
    pub retention: Retention,
    /// Now, by this process's clock.
    pub now: Timestamp,
    /// Who collects, for people.
    pub who: String,
}

/// Why a date could not be collected. Before the first file was removed, unless another process
/// changed the output meanwhile.
#[derive(Debug, Error)]
pub enum CollectError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What a run made cannot be told from what lost attempts left.
    #[error(
        "run {run} has its final, but no record of shard {shard}; nothing of its date was removed; run `nightshift verify` and restore the record"
    )]
    RecordMissing {
        /// The run.
        run: RunId,
        /// The shard.
        shard: ShardIndex,
    },
    /// The names of a run's files are not known.
    #[error(
        "run {run} has its final, but no plan; nothing of its date was removed; restore its plan.json"
    )]
    PlanMissing {
        /// The run.
        run: RunId,
    },
}

impl CollectError {
    /// The exit code of a process that this error ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store(error) => error.exit(),
            Self::RecordMissing { .. } | Self::PlanMissing { .. } => Exit::Data,
        }
    }
}

/// What goes of one run, or has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The run.
    pub run: RunId,
    /// Its verdict.
    pub state: FinalState,
    /// What becomes of it.
    pub action: Action,
    /// The generation that readers use instead, where the run's data goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<Generation>,
    /// Names of files.
    pub files: u64,
    /// Bytes that the volume has more of afterwards. A file with several names is counted once,
    /// with the last of them.
    pub freed_bytes: u64,
    /// Files in its folder that Nightshift did not make; they stay.
    pub foreign: u64,
}

/// What becomes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its visible files and its staged data go.
    Remove,
    /// The data of its lost attempts goes.
    Sweep,
}

/// What killed processes left, as [`find_strays`] counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Strays {
    /// Temporary files.
    pub files: u64,
    /// Folders in which an output was tested.
    pub probes: u64,
    /// Bytes that the volume has more of without them.
    pub freed_bytes: u64,
}

/// The generations of one date as they stand, and what becomes of each.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Each run with its verdict, if it has one, and its fate.
    pub(crate) runs: Vec<JudgedRun>,
}

/// One generation.
#[derive(Debug)]
pub(crate) struct JudgedRun {
    pub(crate) run: RunId,
    pub(crate) state: Option<FinalState>,
    pub(crate) fate: Fate,
}

/// What a collection of `partition` would remove; looks, and touches nothing.
///
/// # Errors
/// See [`CollectError`].
pub async fn survey(
    root: &Reader,
    rules: &Rules,
    partition: Partition,
) -> Result<Vec<Collected>, CollectError> {
    let judged = judge_partition(root, rules, partition).await?;
    let sweep = Sweep::prepare(root, &judged).await?;
    sweep.go_through(root, Hand::Look).await
}

/// Reads what is decided about every generation of `partition`, and judges it.
async fn judge_partition(
    root: &Reader,
    rules: &Rules,
    partition: Partition,
) -> Result<Judged, StoreError> {
    let mut generations = BTreeSet::new();
    for prefix in [Prefix::Claims(partition), Prefix::Finals(partition)] {
        let mut objects = root.list(&prefix);
        while let Some(listed) = objects.try_next().await? {
            generations.extend(listed.object.as_ref().and_then(Object::generation));
        }
    }
    let mut facts = Vec::with_capacity(generations.len());
    for generation in generations {
        let claim: Option<Claim> = root.read(&Object::Claim { partition, generation }).await?;
        let verdict: Option<Final> = root.read(&Object::Final { partition, generation }).await?;
        let standing = match verdict {
            Some(verdict) => standing(root, partition, generation, &verdict).await?,
            None => Standing::Undecided,
        };
        let inherits = claim.and_then(|claim| claim.inherits).map(|run| run.generation);
        facts.push(GenerationFacts { generation, standing, inherits });
    }
    let fates = judge(&facts, &rules.retention, rules.now);
    let runs = facts.iter().zip(fates).map(|(one, (generation, fate))| JudgedRun {
        run: run_id(&rules.name, partition, generation),
        state: match one.standing {
            Standing::Undecided => None,
            Standing::Concluded { state, .. } => Some(state),
        },
        fate,
    });
    Ok(Judged { runs: runs.collect() })
}

/// How a generation with a final stands. One whose output waits for somebody's word is undecided
/// still; one that was rejected is nothing that readers could use instead of another.
async fn standing(
    root: &Reader,
    partition: Partition,
    generation: Generation,
    verdict: &Final,
) -> Result<Standing, StoreError> {
    let approval: Option<Approval> = match verdict.waits_for_approval() {
        true => root.read(&Object::Approval { partition, generation }).await?,
        false => None,
    };
    let state = match Release::of(verdict, approval.map(|approval| approval.judgement)) {
        Release::Waiting => return Ok(Standing::Undecided),
        Release::Rejected => FinalState::Failed,
        Release::Open | Release::Approved => verdict.state,
    };
    Ok(Standing::Concluded { state, decided_at: verdict.decided_at })
}

#[cfg(test)]
mod tests;

//! Opening a run for whoever only leases its shards: bounded memory, whatever its size.

use std::sync::Arc;

use nightshift_core::decide::{Decision, run_id};
use nightshift_core::ids::{Digest, Generation, Partition, RunId};
use nightshift_core::layout::Object;
use nightshift_core::plan::{Outline, Plan, ShardSet};

use super::{OpenError, Opener, claim, inheritance, pin_reference, take_over};
use crate::documents::{Settled, digest, parse_hashed, to_bytes};
use crate::error::StoreError;
use crate::root::{Probed, blocking};

/// A run that is open for leasing: 4 bytes a shard, and a bit.
#[derive(Debug, Clone)]
pub struct OpenOutline {
    /// The stored plan without its slices.
    pub outline: Arc<Outline>,
    /// SHA-256 of the stored plan's bytes, which grants name.
    pub plan_sha256: Digest,
    /// Whether this process claimed the run.
    pub claimed: bool,
    /// Shards that have a record.
    pub decided: ShardSet,
}

/// Opens the run that `decision` names, with `fresh` as its plan if it has none yet; as
/// [`open_run`](super::open_run), without plan and records in memory. What is
/// held of `fresh` while it is stored is its JSON.
///
/// # Errors
/// See [`OpenError`].
pub async fn open_outline(
    root: &Probed,
    opener: &Opener,
    partition: Partition,
    decision: Decision,
    fresh: Plan,
) -> Result<OpenOutline, OpenError> {
    let (generation, inherit, claimed) = claim(root, opener, partition, decision).await?;
    let run = run_id(&opener.name, partition, generation);
    let (outline, plan_sha256) = stored_outline(root, run, inherit, fresh).await?;
    Ok(with_decided(root, outline, plan_sha256, claimed).await?)
}

/// Opens a run that has a plan already, as after a restart; none if it has no plan.
///
/// # Errors
/// If the store fails, or the plan is malformed.
pub async fn reopen(root: &Probed, run: &RunId) -> Result<Option<OpenOutline>, StoreError> {
    let object = Object::Plan { run: run.clone() };
    match root.read_hashed::<Outline>(&object).await? {
        Some((outline, digest)) => with_decided(root, outline, digest, false).await.map(Some),
        None => Ok(None),
    }
}

async fn with_decided(
    root: &Probed,
    outline: Outline,
    plan_sha256: Digest,
    claimed: bool,
) -> Result<OpenOutline, StoreError> {
    if let Some(inheritance) = &outline.inherits {
        take_over(root, &outline, inheritance).await?;
    }
    let decided = root.decided_shards(&outline.run).await?;
    Ok(OpenOutline { outline: Arc::new(outline), plan_sha256, claimed, decided })
}

/// The outline of `run`'s stored plan, and its digest; `fresh` is stored if there is none.
async fn stored_outline(
    root: &Probed,
    run: RunId,
    inherit: Option<Generation>,
    mut fresh: Plan,
) -> Result<(Outline, Digest), StoreError> {
    let object = Object::Plan { run: run.clone() };
    if let Some(stored) = root.read_hashed(&object).await? {
        return Ok(stored);
    }
    let mut outline = Outline::of(&fresh);
    if let Some(generation) = inherit {
        let from = RunId { generation, ..run.clone() };
        fresh.inherits = inheritance(root, from, &outline).await?;
        outline.inherits.clone_from(&fresh.inherits);
    }
    pin_reference(root, &run, &mut fresh).await?;
    outline.gate.clone_from(&fresh.gate);
    fresh.run.clone_from(&run);
    outline.run = run;
    let path = object.clone();
    let bytes = blocking(move || to_bytes(&path, &fresh)).await?;
    match root.put_document_once::<Plan>(&object, bytes.clone()).await? {
        Settled::Created => Ok((outline, digest(&bytes))),
        Settled::Existing(stored) => {
            drop(bytes);
            parse_hashed(&object, stored).await
        }
    }
}

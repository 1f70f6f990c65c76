//! Committing one attempt: seal → record → publish, unless a gate has to see the run first.
//!
//! The record is the commit point. Before it, everything can be thrown away; after it, nothing
//! has to be done again: a visible file that this process no longer gets to make is made by
//! whoever concludes the run.

use nightshift_core::ids::{AttemptId, ShardIndex};
use nightshift_core::layout::{Object, StagedName};
use nightshift_core::plan::Plan;
use nightshift_core::record::{
    Committed, MESSAGE_MAX_CHARS, Quarantined, Record, StoredFile, Verdict,
};
use nightshift_storage::concluding::publish_won;
use nightshift_storage::documents::{Committed as Contest, Settled};
use nightshift_storage::error::StoreError;
use nightshift_storage::root::Probed;
use nightshift_storage::staged::{Sealed, SealedFile};
use nightshift_telemetry::phase;
use tracing::Instrument;

use crate::identity::Identity;
use crate::score::ScoredShard;
use crate::source::Failure;

/// How a commit ended; either way the shard is decided.
#[derive(Debug)]
pub struct Outcome {
    /// The record of the shard.
    pub record: Record,
    /// Whether it is this attempt's.
    pub won: bool,
}

impl Outcome {
    /// Says what became of the shard, and where its rows are.
    pub(crate) fn say_committed(&self) {
        let Self { record, won } = self;
        match record.committed() {
            Some(committed) => tracing::info!(
                attempt = %record.attempt, won,
                rows_in = committed.rows_in,
                rows_out = committed.rows_out,
                rows_rejected = committed.rows_rejected,
                output = %committed.output.visible.path(),
                "shard committed"
            ),
            // Somebody else has given it up before.
            None => tracing::info!(attempt = %record.attempt, won, "shard committed"),
        }
    }
}

/// Makes `scored` the verdict of its shard, or finds out what the verdict is.
///
/// # Errors
/// The store failed before the outcome was known, or the visible file could not be made; the
/// staged data stays, since the record may exist.
pub async fn commit(
    root: &Probed,
    plan: &Plan,
    who: &Identity,
    scored: ScoredShard,
) -> Result<Outcome, StoreError> {
    let ScoredShard { shard, attempt, output, rejects, .. } = scored;
    let (rows_in, rows_out, timing) = (scored.rows_in, scored.rows_out, scored.timing);
    let (rejects_by_reason, scores) = (scored.rejects_by_reason, scored.scores);
    let rows_rejected = rejects_by_reason.values().sum();
    let staged = std::iter::once(output).chain(rejects).collect();
    let sealed = root.seal(staged).instrument(phase!("stage")).await?;
    let record = Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard,
        attempt,
        worker: who.to_string(),
        decided_at: who.now(),
        inherited_from: None,
        verdict: Verdict::Committed(Box::new(Committed {
            rows_in,
            rows_out,
            rows_rejected,
            rejects_by_reason,
            rows_cut: scored.rows_cut,
            output: stored(&sealed, plan, shard, false)?,
            rejects: stored(&sealed, plan, shard, true).ok(),
            model_digest: plan.model.digest,
            timing,
            scores,
        })),
    };
    match root.commit(&sealed, &record).instrument(phase!("settle")).await? {
        Contest::Won(permit) => {
            let publishing = publish_won(root, plan, &permit, &record);
            publishing.instrument(phase!("publish")).await?;
            Ok(Outcome { record, won: true })
        }
        Contest::Lost(record) => Ok(Outcome { record, won: false }),
    }
}

/// The data file or the rejects file of a sealed attempt, as its record names it.
fn stored(
    sealed: &Sealed,
    plan: &Plan,
    shard: ShardIndex,
    rejects: bool,
) -> Result<StoredFile, StoreError> {
    let wanted = |file: &&SealedFile| match &file.object {
        Object::Staged { file: StagedName::Rejects, .. } => rejects,
        Object::Staged { file: StagedName::Data(_), .. } => !rejects,
        _ => false,
    };
    let file =
        sealed.files().iter().find(wanted).ok_or(StoreError::InvalidSeal {
            reason: "an attempt that commits has an output file",
        })?;
    let visible = if rejects { Object::rejects(plan, shard) } else { Object::part(plan, shard) };
    Ok(StoredFile {
        staged: file.object.clone(),
        visible,
        size_bytes: file.size_bytes,
        sha256: file.sha256,
    })
}

/// Gives `shard` up, or finds out that it has a verdict already.
///
/// # Errors
/// The store failed before the outcome was known.
pub async fn quarantine(
    root: &Probed,
    plan: &Plan,
    who: &Identity,
    shard: ShardIndex,
    attempt: AttemptId,
    failure: Failure,
    attempts: u32,
) -> Result<Record, StoreError> {
    let record = Record {
        version: Record::VERSION,
        run: plan.run.clone(),
        shard,
        attempt: attempt.clone(),
        worker: who.to_string(),
        decided_at: who.now(),
        inherited_from: None,
        verdict: Verdict::Quarantined(Quarantined {
            class: failure.class,
            reason: failure.reason,
            message: failure.message.chars().take(MESSAGE_MAX_CHARS).collect(),
            attempts,
        }),
    };
    match root.quarantine(&plan.run, shard, &attempt, &record).await? {
        Settled::Created => Ok(record),
        Settled::Existing(other) => Ok(other),
    }
}

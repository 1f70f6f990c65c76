//! A person's decision about an output that a gate withheld: approval → published → `_SUCCESS`.

use jiff::Timestamp;
use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::gates::{Approval, Judgement};
use nightshift_core::ids::RunId;
use nightshift_core::layout::Object;
use nightshift_core::plan::Outline;
use nightshift_core::report::Report;
use thiserror::Error;

use crate::concluding::{ConcludeError, complete};
use crate::documents::Settled;
use crate::error::StoreError;
use crate::root::Probed;

/// A decision that is to be recorded.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The run.
    pub run: RunId,
    /// What is decided.
    pub judgement: Judgement,
    /// Who decides, for people.
    pub who: String,
    /// Now, by this process's clock.
    pub now: Timestamp,
    /// Why.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The decision that counts: the first one, which says the same.
    pub approval: Approval,
    /// Whether this call recorded it.
    pub first: bool,
    /// The report of the run.
    pub report: Report,
}

/// Why nothing could be decided.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// There is no verdict to decide about.
    #[error("{run} has no verdict in this output; `nightshift status SPEC` shows its runs")]
    NoVerdict {
        /// The run.
        run: RunId,
    },
    /// The run is not withheld, so its output is visible.
    #[error("no gate withholds {run}; its output is visible already")]
    NotWithheld {
        /// The run.
        run: RunId,
    },
    /// Shards are missing, so that there is nothing whole to publish.
    #[error("{run} ended {state}, with {given_up} shards given up; run the date again instead")]
    Incomplete {
        /// The run.
        run: RunId,
        /// Its verdict.
        state: &'static str,
        /// Shards that were given up.
        given_up: u64,
    },
    /// Somebody decided otherwise before.
    #[error(
        "{run} was {} at {} by {}: {}; the first decision counts, and `nightshift run --force` makes a new generation",
        .approval.judgement, .approval.decided_at, .approval.decided_by, .approval.reason
    )]
    DecidedOtherwise {
        /// The run.
        run: RunId,
        /// The decision that counts.
        approval: Box<Approval>,
    },
    /// The output could not be published; doing the same again goes on with it.
    #[error(transparent)]
    Conclude(#[from] ConcludeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Records what a person decided about a withheld run, and publishes its output if that was an
/// approval. The first decision counts; repeating it goes on where an earlier call died.
///
/// # Errors
/// See [`JudgeError`].
pub async fn judge(root: &Probed, asked: Asked) -> Result<Judged, JudgeError> {
    let Asked { run, judgement, who, now, reason } = asked;
    let (partition, generation) = (run.partition, run.generation);
    let verdict: Option<Final> = root.read(&Object::Final { partition, generation }).await?;
    let plan: Option<Outline> = root.read(&Object::Plan { run: run.clone() }).await?;
    let found = verdict.filter(|verdict| verdict.run == run).zip(plan);
    let Some((verdict, plan)) = found else { return Err(JudgeError::NoVerdict { run }) };
    if verdict.state != FinalState::Succeeded {
        let (state, given_up) = (verdict.state.as_str(), verdict.totals.quarantined);
        return Err(JudgeError::Incomplete { run, state, given_up });
    }
    if !verdict.waits_for_approval() {
        return Err(JudgeError::NotWithheld { run });
    }
    let mut approval = Approval {
        version: Approval::VERSION,
        run: run.clone(),
        judgement,
        decided_by: who,
        decided_at: now,
        reason,
    };
    let object = Object::Approval { partition, generation };
    let first = match root.create_once(&object, &approval).await? {
        Settled::Created => true,
        Settled::Existing(stored) if stored.judgement == judgement => {
            approval = stored;
            false
        }
        Settled::Existing(stored) => {
            return Err(JudgeError::DecidedOtherwise { run, approval: Box::new(stored) });
        }
    };
    let report = complete(root, &plan, verdict).await?;
    Ok(Judged { approval, first, report })
}

#[cfg(test)]
mod tests;

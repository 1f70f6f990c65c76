//! Pinning the accepted run that a gate compares with.

use nightshift_core::conclusion::{Final, FinalState};
use nightshift_core::decide::Release;
use nightshift_core::gates::{Reference, preferred_references};
use nightshift_core::ids::RunId;
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::plan::Plan;

use crate::error::StoreError;
use crate::root::Reader;

/// Finals that are asked whether their run was accepted. Far more than a person leaves withheld
/// in a row, and few enough that planning does not read the history of years.
const FINALS_ASKED_MAX: usize = 64;

/// Puts the reference into a plan that has a gate and is about to be stored as the plan of `run`.
pub(super) async fn pin_reference(
    root: &Reader,
    run: &RunId,
    plan: &mut Plan,
) -> Result<(), StoreError> {
    let Some(gate) = &mut plan.gate else { return Ok(()) };
    gate.reference = None;
    let concluded = root.generations(&Prefix::AllFinals).await?;
    for (partition, generation) in
        preferred_references(run.partition, concluded).into_iter().take(FINALS_ASKED_MAX)
    {
        let object = Object::Final { partition, generation };
        let Some(verdict) = root.read::<Final>(&object).await? else { continue };
        let released = Release::of(&verdict, root.judgement(&verdict).await?);
        if verdict.state == FinalState::Succeeded
            && released.is_accepted()
            && let Some(scores) = verdict.scores
        {
            gate.reference = Some(Reference { run: verdict.run, scores });
            break;
        }
    }
    Ok(())
}

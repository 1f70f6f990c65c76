//! What a gate said of a run, and what a person decided about it, as sentences.

use nightshift_core::conclusion::Final;
use nightshift_core::gates::Approval;

use super::{count, paragraph};
use crate::prose;

/// Nothing for a run without a gate.
pub(super) fn describe(verdict: &Final, approval: Option<&Approval>) -> String {
    let Some(gate) = &verdict.gate else { return String::new() };
    if !verdict.is_withheld() {
        let checks = count(gate.checks.len() as u64, "check", "checks");
        return format!(" {}", paragraph(&[format!("Its gate passed, with {checks}")]));
    }
    let why = prose::one_line(&gate.reasons());
    let mut sentences = vec![format!("Its gate withheld the output: {why}")];
    match approval {
        Some(approval) => sentences.push(format!(
            "It was {} at {} by {}: {}",
            approval.judgement,
            approval.decided_at,
            prose::one_line(&approval.decided_by),
            prose::one_line(&approval.reason)
        )),
        None if verdict.waits_for_approval() => sentences.push(format!(
            "It waits for a person: nightshift approve {run} SPEC --reason TEXT, or nightshift reject",
            run = verdict.run
        )),
        None => {}
    }
    format!(" {}", paragraph(&sentences))
}

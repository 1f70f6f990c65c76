//! What a person decided about a run that a gate withheld, as a sentence.

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
    let sentence = match approval {
        Some(approval) => format!(
            "It was {} at {} by {}: {}",
            approval.judgement,
            approval.decided_at,
            prose::one_line(&approval.decided_by),
            prose::one_line(&approval.reason)
        ),
        None if verdict.waits_for_approval() => format!(
            "It waits for a person: nightshift approve {run} SPEC --reason TEXT, or nightshift reject",
            run = verdict.run
        ),
        None => return String::new(),
    };
    format!(" {}", paragraph(&[sentence]))
}

//! Publish gates: whether what a run has committed may be seen by readers.
//!
//! [`Gates`] are the user's rules. Planning freezes them into the plan, together with the
//! statistics of an accepted run to compare with ([`GatePlan`]). The final judges the run by them
//! (`judge_run`), as a pure function of plan and records: what passes is published, what does
//! not is withheld until a person decides ([`Approval`]). A canary shard may be judged alone
//! before any other is scored ([`canary`]).

use serde::{Deserialize, Serialize};

use crate::conclusion::{Final, FinalState};
use crate::ids::RunId;
use crate::plan::Planned;
use crate::scores::Scores;

mod approval;
mod canary;
mod judge;
mod measure;
mod reference;
mod rules;

pub use approval::{Approval, Judgement, REASON_MAX_CHARS};
pub use canary::{Canary, canary, canary_shard};
pub use reference::preferred_references;
pub use rules::{
    CANARY_SHIFT_FACTOR, COLUMN_RULES_MAX, CanaryRules, Gates, QUANTILES_MAX, QuantileShift,
    RowsRule, ScoreRules, Shift, Unit,
};

use judge::{Judge, Subject};

/// The gate of one run: the rules and what to compare with, frozen when the run was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePlan {
    /// The rules.
    pub rules: Gates,
    /// The accepted run to compare with; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// An accepted run that a later one is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The run.
    pub run: RunId,
    /// Statistics of its output.
    pub scores: Scores,
}

/// What a gate said of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateOutcome {
    /// Whether the output is published.
    pub verdict: GateVerdict,
    /// The accepted run that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<RunId>,
    /// Every check, in the order of the rules and the columns.
    pub checks: Vec<Check>,
}

/// Whether the output of a run is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    /// Every check passed.
    Passed,
    /// One did not: nothing is visible unless a person approves.
    Withheld,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The rule.
    pub rule: Rule,
    /// The output column, for rules about scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The quantile, from 0 to 1, for a rule about quantiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// What was measured, in the unit of the rule; none where nothing could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The most that is allowed; for [`Rule::Rows`] the least.
    pub limit: f64,
    /// Whether it is within the limit.
    pub passed: bool,
    /// The same in words.
    pub text: String,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Shards that were given up; there may be none.
    Shards,
    /// Rows out as a share of rows in.
    Rows,
    /// Rejected rows as a share of rows in.
    RejectRatio,
    /// Whether there are statistics that the other rules need.
    Statistics,
    /// Rows without a usable value, as a share of the rows of a column.
    NullRatio,
    /// How far the mean of a column moved.
    MeanShift,
    /// How far a quantile of a column moved.
    QuantileShift,
}

impl GateOutcome {
    /// The checks that did not pass.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// The failed checks as one line of text.
    pub fn reasons(&self) -> String {
        self.failed().map(|check| check.text.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// Judges a run by the gate of its plan, from the sums of its final; none without a gate.
pub(crate) fn judge_run(plan: &impl Planned, verdict: &Final) -> Option<GateOutcome> {
    let gate = plan.gate()?;
    let totals = &verdict.totals;
    let subject = Subject {
        shards: totals.shards,
        given_up: totals.quarantined,
        rows_in: totals.rows_in,
        rows_out: totals.rows_out,
        rows_rejected: totals.rows_rejected,
        scores: verdict.scores.as_ref(),
        shift_factor: 1.0,
    };
    Some(Judge::new(gate, subject).outcome())
}

impl Final {
    /// Whether a gate keeps the output from readers, unless a person approves it.
    pub fn is_withheld(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.verdict == GateVerdict::Withheld)
    }

    /// Whether a person is to decide about the output: all of it is there, and a gate keeps it.
    pub fn waits_for_approval(&self) -> bool {
        self.state == FinalState::Succeeded && self.is_withheld()
    }
}

#[cfg(test)]
mod tests;

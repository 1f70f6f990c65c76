//! The canary: one shard that is scored and judged before any other.

use super::judge::{Judge, Subject};
use crate::ids::ShardIndex;
use crate::plan::Planned;
use crate::record::{Record, Verdict};

/// How the canary of a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// The run has none.
    None,
    /// This shard has no record yet; no other is to be scored.
    Awaited(ShardIndex),
    /// It passed: the others may be scored.
    Passed,
    /// It did not, and no other shard is to be scored.
    Failed {
        /// Which checks failed, and what to do.
        message: String,
    },
}

/// The canary shard of a run, if it has one: the shard in the middle of the rows. The first rows
/// of a table are often its oldest, and the last shard is often short; the middle is as ordinary as
/// any.
pub fn canary_shard(plan: &impl Planned) -> Option<ShardIndex> {
    plan.gate()?.rules.canary?;
    let shards = plan.shard_count();
    (shards > 0).then_some(ShardIndex(shards / 2))
}

/// Judges the canary by its record, if there is one already.
///
/// It is held to the rules of the run, as though the run had no other rows. Only the distances to
/// the reference are multiplied by
/// [`CanaryRules::shift_factor`](super::CanaryRules::shift_factor).
pub fn canary(plan: &impl Planned, record: Option<&Record>) -> Canary {
    let Some((gate, shard)) = plan.gate().zip(canary_shard(plan)) else { return Canary::None };
    let Some(record) = record else { return Canary::Awaited(shard) };
    let remedy = "no other shard was scored; mend model or input, then run the date again";
    let committed = match &record.verdict {
        Verdict::Committed(committed) => committed,
        Verdict::Quarantined(given_up) => {
            let (reason, text) = (&given_up.reason, &given_up.message);
            let message = format!("canary shard {shard} was given up: {reason}: {text}; {remedy}");
            return Canary::Failed { message };
        }
    };
    let subject = Subject {
        shards: 1,
        given_up: 0,
        rows_in: committed.rows_in,
        rows_out: committed.rows_out,
        rows_rejected: committed.rows_rejected,
        scores: committed.scores.as_ref(),
        shift_factor: gate.rules.canary.map_or(1.0, |canary| canary.shift_factor),
    };
    let outcome = Judge::new(gate, subject).outcome();
    match outcome.reasons() {
        passed if passed.is_empty() => Canary::Passed,
        reasons => Canary::Failed {
            message: format!("canary shard {shard} failed the gate: {reasons}; {remedy}"),
        },
    }
}

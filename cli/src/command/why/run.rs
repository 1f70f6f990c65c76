//! How a run stands, as one paragraph.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::conclusion::{FinalState, QuarantinedShard};
use nightshift_core::record::FailureClass;
use nightshift_proto::runs::get::FoundRun;
use nightshift_proto::runs::judge::Judged;
use nightshift_proto::runs::status::{RunState, RunStatus, ShardCounts};

use super::{count, paragraph};
use crate::table::thousands;
use crate::view::{decided, state_name};
use crate::{prose, span};

/// Most quarantined shards that the paragraph spells out.
const SPELT_OUT_MAX: usize = 3;

/// What state the run is in, since when, what has become of its shards, what failed, and what
/// happens next. `again` is the command that runs again what was given up.
pub(super) fn describe(found: &FoundRun, now: Timestamp, again: &str) -> String {
    let run = &found.run;
    let mut sentences = vec![opening(run, now)];
    if run.shards.total > 0 {
        sentences.push(shards(run));
        sentences.push(rows(run));
    }
    let notice = prose::one_line(&run.notice);
    if !notice.is_empty() {
        sentences.push(format!("The coordinator says: {notice}"));
    }
    sentences.extend(given_up(&found.quarantined, run.shards.quarantined));
    sentences.extend(rejects(found));
    sentences.extend(withheld(found));
    sentences.push(next(found, again));
    paragraph(&sentences)
}

/// Why a gate keeps the output from readers, if one does.
fn withheld(found: &FoundRun) -> Option<String> {
    let verdict = found.verdict.as_ref()?;
    let why = prose::one_line(&verdict.withheld);
    let judged = match &verdict.judged {
        _ if why.is_empty() => return None,
        None => String::new(),
        Some(Judged { judgement, decided_by, decided_at, reason }) => format!(
            "; it was {judgement} at {decided_at} by {}: {}",
            prose::one_line(decided_by),
            prose::one_line(reason)
        ),
    };
    Some(format!("Its gate withheld the output: {why}{judged}"))
}

/// What a person may do about an output that waits for one; `ask` is the command that approves.
pub(super) fn waits(found: &FoundRun, ask: &str) -> String {
    match &found.verdict {
        Some(verdict) if !verdict.is_accepted() && verdict.judged.is_none() => {
            format!(" It waits for a person: {ask} --reason TEXT, or nightshift reject.")
        }
        _ => String::new(),
    }
}

/// The state, and since when.
fn opening(run: &RunStatus, now: Timestamp) -> String {
    let ago = |moment: Timestamp| {
        let passed = Duration::try_from(now.duration_since(moment)).unwrap_or_default();
        format!("{} ago", span::words(passed))
    };
    let state = state_name(run.state);
    let name = &run.run;
    match (run.state.verdict(), run.planned_at, run.decided_at) {
        (Some(_), Some(planned), Some(decided)) => {
            let took = Duration::try_from(decided.duration_since(planned)).unwrap_or_default();
            let took = span::words(took);
            format!("{name} has ended {}: {state}, {took} after it was planned", ago(decided))
        }
        (Some(_), _, Some(decided)) => format!("{name} has ended {}: {state}", ago(decided)),
        (Some(_), _, None) => format!("{name} has ended: {state}"),
        (None, Some(planned), _) => format!("{name} is {state}; it was planned {}", ago(planned)),
        (None, None, _) => format!("{name} is {state}"),
    }
}

/// What has become of the shards.
fn shards(run: &RunStatus) -> String {
    let ShardCounts { total, committed, quarantined, leased, delayed, ready } = run.shards;
    if committed == total {
        return format!("All of its {} are committed", count(total.into(), "shard", "shards"));
    }
    let workers = count(run.workers.into(), "worker", "workers");
    let parts = [
        (quarantined, "given up".to_owned()),
        (leased, format!("leased by {workers}")),
        (delayed, "waiting out a pause after a failure".to_owned()),
        (ready, "free".to_owned()),
    ];
    let mut text = format!(
        "Of its {}, {} committed",
        count(total.into(), "shard", "shards"),
        count(committed.into(), "is", "are")
    );
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {} {what}", thousands(count.into())));
    }
    text
}

fn rows(run: &RunStatus) -> String {
    let rows = run.rows;
    let mut text =
        format!("{} written of {}", count(rows.out, "row is", "rows are"), thousands(rows.planned));
    if rows.rejected > 0 {
        text.push_str(&format!(", {} rejected", thousands(rows.rejected)));
    }
    if rows.quarantined > 0 {
        text.push_str(&format!(", {} given up with their shards", thousands(rows.quarantined)));
    }
    text
}

/// The first of the shards that were given up, each with its reason.
fn given_up(shown: &[QuarantinedShard], quarantined: u32) -> Vec<String> {
    let mut sentences: Vec<String> = shown
        .iter()
        .take(SPELT_OUT_MAX)
        .map(|shard| {
            // A person's wish has no other name than its class.
            let what = match shard.reason == shard.class.as_str() {
                true => prose::one_line(&shard.message),
                false => prose::one_line(&format!("{}: {}", shard.reason, shard.message)),
            };
            let rows = count(shard.rows, "row", "rows");
            format!(
                "Shard {} ({rows}) was given up ({}): {what}",
                shard.shard,
                shard.class.as_str()
            )
        })
        .collect();
    let rest = (quarantined as usize).saturating_sub(sentences.len());
    if rest > 0 && !sentences.is_empty() {
        sentences.push(format!("{} more were given up", thousands(rest as u64)));
    }
    sentences
}

fn rejects(found: &FoundRun) -> Option<String> {
    let reasons = &found.verdict.as_ref()?.totals.rejects_by_reason;
    let mut reasons: Vec<_> = reasons.iter().map(|(reason, count)| (*count, reason)).collect();
    reasons.sort_by(|a, b| b.cmp(a));
    let first = reasons.iter().take(SPELT_OUT_MAX);
    let named: Vec<String> = first
        .map(|(count, reason)| format!("{} {}", thousands(*count), prose::one_line(reason)))
        .collect();
    (!named.is_empty()).then(|| format!("Rejected rows by reason: {}", named.join(", ")))
}

/// What happens next, and what to do about it.
fn next(found: &FoundRun, again: &str) -> String {
    let run = &found.run;
    let left = u64::from(run.shards.total.saturating_sub(decided(run)));
    match run.state {
        RunState::Planning => {
            "Next: its inputs are listed and cut into shards, and then workers get them".to_owned()
        }
        RunState::Recovering => {
            "Next: this coordinator has just taken over; it waits for one lease time for workers of the one before, and then hands out the rest".to_owned()
        }
        RunState::Running if run.workers == 0 && left > 0 && !run.notice.is_empty() => {
            "Next: nothing, until a worker asks; mend what keeps its workers from starting"
                .to_owned()
        }
        RunState::Running if run.workers == 0 && left > 0 => {
            "Next: nothing, until a worker asks; start some with nightshift-worker --coordinator"
                .to_owned()
        }
        RunState::Running => {
            let left = count(left, "undecided shard", "undecided shards");
            if run.shards.quarantined == 0 {
                format!("Next: the workers go on with {left}, and then the run gets its verdict")
            } else {
                format!(
                    "Next: the workers go on with {left}; the run cannot succeed any more, because shards were given up, and nightshift retry runs those again once it has ended"
                )
            }
        }
        RunState::Paused => {
            "Next: nothing is handed out for a minute, so that failures which are all alike do not use up every shard; mend the cause, and the run goes on by itself".to_owned()
        }
        RunState::Concluding => {
            "Next: every shard is decided; the output files are verified and the verdict is written".to_owned()
        }
        RunState::Succeeded => "There is nothing left to do".to_owned(),
        RunState::Partial | RunState::Failed => after_verdict(found, again),
    }
}

fn after_verdict(found: &FoundRun, again: &str) -> String {
    let cancelled = found.quarantined.iter().any(|one| one.class == FailureClass::Cancelled);
    let kept = match found.run.state.verdict() {
        Some(FinalState::Partial) => "; it takes over what is committed",
        _ => "",
    };
    let mend = if cancelled { "To go on" } else { "Mend the cause, and then" };
    format!("{mend} run what was given up again with: {again}{kept}")
}

#[cfg(test)]
mod tests;

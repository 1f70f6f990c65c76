//! How one shard stands, as one paragraph.

use std::time::Duration;

use nightshift_core::record::FailureClass;
use nightshift_proto::leases::Phase;
use nightshift_proto::leases::report::Failure;
use nightshift_proto::runs::get::{FoundRun, ShardLease, ShardState, ShardStatus};

use super::{count, paragraph};
use crate::table::thousands;
use crate::{prose, span};

/// What state the shard is in, who holds it, what failed, and what happens next.
pub(super) fn describe(found: &FoundRun, shard: &ShardStatus, again: &str) -> String {
    let mut sentences = vec![opening(found, shard)];
    sentences.extend(shard.leases.iter().map(|lease| held(lease, shard.rows)));
    sentences.extend(failures(shard));
    if let Some(given_up) = found.quarantined.iter().find(|one| one.shard == shard.shard) {
        let what = prose::one_line(&format!("{}: {}", given_up.reason, given_up.message));
        sentences.push(format!("The reason ({}): {what}", given_up.class.as_str()));
    }
    sentences.push(next(found, shard, again));
    paragraph(&sentences)
}

fn opening(found: &FoundRun, shard: &ShardStatus) -> String {
    let rows = count(shard.rows, "row", "rows");
    let name = format!("Shard {} of {} ({rows})", shard.shard, found.run.run);
    let decided = |what: &str| match &shard.attempt {
        Some(attempt) => format!("{name} is {what}, decided by attempt {attempt}"),
        None => format!("{name} is {what}"),
    };
    match shard.state {
        ShardState::Ready => format!("{name} is free: nobody works on it"),
        ShardState::Delayed => format!("{name} waits out a pause after a failure"),
        ShardState::Leased if shard.leases.len() > 1 => {
            format!("{name} is being worked on under {} leases", shard.leases.len())
        }
        ShardState::Leased => format!("{name} is being worked on"),
        ShardState::Committed => decided("committed"),
        ShardState::Quarantined => decided("given up"),
    }
}

/// A lease: who, since when, how far.
fn held(lease: &ShardLease, rows: u64) -> String {
    let token = lease.token;
    let held = span::words(Duration::from_millis(lease.age_ms));
    let phase = match lease.phase {
        Phase::Waiting => "has it ready but has not begun".to_owned(),
        Phase::Scoring => {
            format!("has read {} of {}", thousands(lease.rows_done), count(rows, "row", "rows"))
        }
        Phase::Committing => "is committing it".to_owned(),
    };
    let name = format!("lease {}.{}", token.epoch, token.sequence);
    format!("Worker {} has held it for {held} ({name}) and {phase}", lease.worker)
}

/// What has failed so far.
fn failures(shard: &ShardStatus) -> Vec<String> {
    let preempted = u64::from(shard.preempted_attempts);
    let failed = u64::from(shard.failed_attempts).saturating_sub(preempted);
    let mut sentences = Vec::new();
    if preempted > 0 {
        let attempts = count(preempted, "attempt has", "attempts have");
        let whose = if preempted == 1 { "its worker was" } else { "their workers were" };
        sentences.push(format!("{attempts} ended because {whose} told to go, which is no failure"));
    }
    if failed > 0 {
        let attempts = count(failed, "attempt has", "attempts have");
        sentences.push(format!("{attempts} failed"));
    }
    if let Some(Failure { class, reason, message }) = &shard.last_failure {
        let what = prose::one_line(&format!("{reason}: {message}"));
        sentences.push(match class {
            FailureClass::Preempted => format!("Why its worker was told to go: {what}"),
            class => format!("The last failure was {}: {what}", kind(*class)),
        });
    }
    sentences
}

/// A class in words.
fn kind(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Preempted => "a worker that was told to go",
        FailureClass::Lost => "a worker that vanished",
        FailureClass::Transient => "one of the world outside",
        FailureClass::Data => "one of the data",
        FailureClass::Config => "one of spec or model",
        FailureClass::Cancelled => "a cancellation",
    }
}

fn next(found: &FoundRun, shard: &ShardStatus, again: &str) -> String {
    match shard.state {
        ShardState::Ready if found.run.state.verdict().is_some() => String::new(),
        ShardState::Ready if found.run.workers == 0 => {
            "Next: the first worker that asks gets it; none holds a lease of this run now".to_owned()
        }
        ShardState::Ready => "Next: a worker that asks gets it in its turn".to_owned(),
        ShardState::Delayed => "Next: it is tried again after the pause, which grows from 1 to 60 seconds".to_owned(),
        ShardState::Leased if shard.leases.len() > 1 => {
            "Next: whoever commits first decides it; the other attempts are dropped".to_owned()
        }
        ShardState::Leased => {
            "Next: its worker commits it; if the worker is not heard of for a lease time, another gets it".to_owned()
        }
        ShardState::Committed => "There is nothing left to do".to_owned(),
        ShardState::Quarantined if found.run.state.verdict().is_none() => {
            format!("Next: once the run has ended, run it again with: {again}")
        }
        ShardState::Quarantined => {
            format!("Mend the cause, and then run it again with: {again}")
        }
    }
}

#[cfg(test)]
mod tests;

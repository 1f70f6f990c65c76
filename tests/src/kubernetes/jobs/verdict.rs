//! Whether a Job is over, and how.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::indexes::Indexes;
use super::{Counted, Sync};
use crate::kubernetes::{clock, object};

/// A decided end: `FailureTarget` or `SuccessCriteriaMet`, with reason and message.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether the Job has failed.
    pub failed: bool,
    /// Reason of the condition.
    pub reason: String,
    /// Message of the condition.
    pub message: String,
}

impl Verdict {
    fn new(failed: bool, reason: &str, message: &str) -> Self {
        Self { failed, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn decided(job: &Value) -> Option<Self> {
        let known = |kind, failed| {
            let condition = object::condition(job, kind)?;
            let (reason, message) =
                (object::text(condition, "/reason"), object::text(condition, "/message"));
            Some(Self::new(failed, reason, message))
        };
        known("SuccessCriteriaMet", false).or_else(|| known("FailureTarget", true))
    }
}

/// A condition that is true.
pub fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": reason, "message": message })
}

/// The end of a Job, if it is decided.
pub fn of(sync: &Sync, counted: &Counted, now: Timestamp) -> Option<Verdict> {
    let job = &sync.job;
    if let Some(decided) = Verdict::decided(job) {
        return Some(decided);
    }
    if let Some(message) = &counted.fail_job {
        return Some(Verdict::new(true, "PodFailurePolicy", message));
    }
    let number = |field: &str| object::number(&job["spec"], field);
    if object::number(job, "/status/failed") > number("/backoffLimit") {
        let message = "Job has reached the specified backoff limit";
        return Some(Verdict::new(true, "BackoffLimitExceeded", message));
    }
    let started = clock::parse(object::text(job, "/status/startTime"));
    if let (Some(limit), Some(started)) = (number("/activeDeadlineSeconds"), started)
        && job["spec"]["suspend"] != true
        && now.duration_since(started).as_secs() >= limit
    {
        let message = "Job was active longer than specified deadline";
        return Some(Verdict::new(true, "DeadlineExceeded", message));
    }
    if sync.is_indexed()
        && let Some(over) = by_indexes(sync).or_else(|| by_success_policy(sync))
    {
        return Some(over);
    }
    let succeeded = object::number(job, "/status/succeeded").unwrap_or(0);
    let enough = match number("/completions") {
        Some(completions) => succeeded >= completions,
        None => succeeded > 0,
    };
    let all_ended = sync.active().count() == 0;
    let message = "Reached expected number of succeeded pods";
    (enough && all_ended).then(|| Verdict::new(false, "CompletionsReached", message))
}

fn by_indexes(sync: &Sync) -> Option<Verdict> {
    let spec = &sync.job["spec"];
    object::number(spec, "/backoffLimitPerIndex")?;
    if object::number(spec, "/maxFailedIndexes").is_some_and(|limit| sync.failed.len() > limit) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Verdict::new(true, "MaxFailedIndexesExceeded", message));
    }
    let ended = sync.failed.len() + sync.succeeded.len();
    let over = !sync.failed.is_empty() && ended >= sync.completions();
    over.then(|| Verdict::new(true, "FailedIndexes", "Job has failed indexes"))
}

fn by_success_policy(sync: &Sync) -> Option<Verdict> {
    if sync.succeeded.is_empty() {
        return None;
    }
    let rules = object::list(&sync.job, "/spec/successPolicy/rules");
    let met = |rule: &Value| {
        let count = object::number(rule, "/succeededCount");
        match rule["succeededIndexes"].as_str() {
            Some(text) => {
                let wanted = Indexes::parse(text, sync.completions());
                let found = wanted.shared_with(&sync.succeeded);
                !wanted.is_empty() && found >= count.unwrap_or(wanted.len())
            }
            None => count.is_some_and(|count| sync.succeeded.len() >= count),
        }
    };
    let at = rules.iter().position(met)?;
    Some(Verdict::new(false, "SuccessPolicy", &format!("Matched rules at index {at}")))
}

//! `podFailurePolicy` and retries by index.

use super::Found;
use crate::lint::object::Workload;
use crate::lint::{Rule, Severity};

pub(in crate::lint) static FAILURE_RESTART: Rule = Rule {
    id: "failure-policy-restart",
    severity: Severity::Error,
    what: "podFailurePolicy with a restartPolicy other than Never",
    why: "Kubernetes refuses the Job: restarts inside a pod would hide the exit codes.",
    remedy: "Set `restartPolicy: Never`.",
    fixable: false,
};

pub(in crate::lint) static INDEX_BACKOFF: Rule = Rule {
    id: "index-backoff",
    severity: Severity::Error,
    what: "backoffLimitPerIndex or maxFailedIndexes without completionMode Indexed",
    why: "Only an Indexed Job has indexes to count by: Kubernetes refuses the Job.",
    remedy: "Set `completionMode: Indexed`, or use `backoffLimit`.",
    fixable: false,
};

pub(in crate::lint) static FAIL_INDEX: Rule = Rule {
    id: "fail-index",
    severity: Severity::Error,
    what: "a podFailurePolicy with FailIndex and no backoffLimitPerIndex",
    why: "Without retries by index no index can fail alone: Kubernetes refuses the Job.",
    remedy: "Set `backoffLimitPerIndex`, or use FailJob.",
    fixable: false,
};

pub(super) fn check(workload: &Workload<'_>, found: &mut Found) {
    let Some(job) = workload.job else { return };
    let policy = job.node.get("podFailurePolicy");
    let restart = workload.pod.and_then(|pod| pod.node.text_at("restartPolicy"));
    // An absent one is the finding `restart-policy`.
    if policy.is_some() && restart == Some("OnFailure") {
        let message = "`podFailurePolicy` needs `restartPolicy: Never`";
        found.add(&FAILURE_RESTART, job.place("podFailurePolicy"), message);
    }
    for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if job.node.get(key).is_some() && !workload.is_indexed() {
            let message = format!("`{key}` in a Job that is not Indexed");
            found.add(&INDEX_BACKOFF, job.place(key), message);
        }
    }
    let rules = policy.and_then(|policy| policy.get("rules"));
    for rule in rules.into_iter().flat_map(|rules| rules.items()) {
        if let Some(action) = rule.get("action")
            && action.text() == Some("FailIndex")
            && job.node.get("backoffLimitPerIndex").is_none()
        {
            let message = "`FailIndex` without `backoffLimitPerIndex`";
            found.add(&FAIL_INDEX, action.at, message);
        }
    }
}

use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::*;

const RUN: &str = "flights-2013-01-01-g1";

fn run() -> RunId {
    RUN.parse().unwrap()
}

fn job(uid: &str, status: Value) -> Job {
    serde_json::from_value(json!({
        "metadata": { "name": RUN, "uid": uid, "annotations": { "nightshift.dev/run": RUN } },
        "spec": { "parallelism": 2, "completions": 2, "template": {} },
        "status": status,
    }))
    .unwrap()
}

fn failed(reason: &str) -> Value {
    json!({ "conditions": [{ "type": "Failed", "status": "True", "reason": reason, "message": "words" }] })
}

fn pod(at: u32, status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{RUN}-{at}-abcde"),
            "uid": format!("pod-{at}"),
            "annotations": { "nightshift.dev/run": RUN },
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": RUN, "uid": "job-1" }],
        },
        "spec": { "containers": [] },
        "status": status,
    }))
    .unwrap()
}

fn exited(code: i32) -> Value {
    json!({ "phase": "Failed", "containerStatuses": [{
        "name": "worker", "image": "w", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": code, "message": "{\"message\":\"so it was\"}" } },
    }] })
}

/// A Job with two pods that run, after the first listings.
fn working() -> (Cluster, Instant) {
    let (mut cluster, now) = (Cluster::default(), Instant::now());
    cluster.jobs_listing();
    cluster.job_applied(&job("job-1", json!({})), now);
    cluster.jobs_listed(now);
    cluster.pods_listing();
    for at in 0..2 {
        let seen = cluster.pod_applied(&pod(at, json!({ "phase": "Running" })), now);
        assert_eq!(seen, Seen::default(), "nothing is the matter");
    }
    cluster.pods_listed(now);
    (cluster, now)
}

fn gone(seen: &Seen) -> Vec<(&str, FailureClass)> {
    let gone = seen.sightings.iter().filter_map(|sighting| match sighting {
        Sighting::WorkerGone { host, class, .. } => Some((host.as_str(), *class)),
        _ => None,
    });
    gone.collect()
}

fn noticed(seen: &Seen) -> Option<&str> {
    seen.sightings.iter().find_map(|sighting| match sighting {
        Sighting::Noticed { text, .. } => Some(text.as_str()),
        _ => None,
    })
}

fn cannot_go_on(seen: &Seen) -> Option<(FailureClass, &str, &str)> {
    seen.sightings.iter().find_map(|sighting| match sighting {
        Sighting::CannotGoOn { class, reason, message, .. } => {
            Some((*class, reason.as_str(), message.as_str()))
        }
        _ => None,
    })
}

#[test]
fn a_pods_end_is_told_once() {
    let (mut cluster, now) = working();
    let host = format!("{RUN}-0-abcde");
    let seen = cluster.pod_applied(&pod(0, exited(139)), now);
    assert_eq!(gone(&seen), [(host.as_str(), FailureClass::Lost)]);
    assert_eq!(
        noticed(&seen),
        Some(format!("pod {host} has ended (139, killed by signal 11): so it was").as_str())
    );
    assert_eq!(seen.tell.len(), 1, "its Job is told");
    assert_eq!(cluster.pod_applied(&pod(0, exited(139)), now), Seen::default());
    let seen = cluster.pod_deleted(&pod(0, exited(139)), now);
    assert_eq!(seen, Seen::default());
    let later = now + NEWS;
    assert_eq!(
        noticed(&cluster.job_applied(&job("job-1", json!({})), later)),
        Some(""),
        "it is old news"
    );
}

#[test]
fn a_pod_out_of_memory_is_told_with_the_batches_that_it_had() {
    let (mut cluster, now) = working();
    let pod_of = format!("{RUN}-0-abcde");
    let of = pod_of.clone();
    let known = move |run: &RunId, host: &str| {
        let theirs = run.to_string() == RUN && host == of;
        theirs.then(|| NonZeroU32::new(512)).flatten()
    };
    cluster.batches = Batches::known_by(known);
    let mut status = exited(137);
    status["containerStatuses"][0]["state"]["terminated"]["reason"] = json!("OOMKilled");
    let seen = cluster.pod_applied(&pod(0, status.clone()), now);
    let words = "up to 512 rows (learned before), the next attempts at its shards get 256";
    assert!(noticed(&seen).unwrap().contains(words), "{seen:?}");
    assert!(seen.tell[0].text.contains(words), "{seen:?}");
    let gone = seen
        .sightings
        .iter()
        .any(|it| matches!(it, Sighting::WorkerGone { message, .. } if message.contains(words)));
    assert!(gone, "{seen:?}");
    // Of another nothing is known.
    let seen = cluster.pod_applied(&pod(1, status), now);
    assert!(seen.tell.is_empty(), "the same is not told again at once: {seen:?}");
    let words = "up to 8192 rows (no smaller size was learned)";
    assert!(noticed(&seen).unwrap().contains(words), "{seen:?}");
}

#[test]
fn an_eviction_is_told_and_a_pod_that_was_only_deleted_is_not() {
    let (mut cluster, now) = working();
    let evicted = json!({
        "phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
    });
    let seen = cluster.pod_applied(&pod(0, evicted), now);
    assert_eq!(gone(&seen), [(format!("{RUN}-0-abcde").as_str(), FailureClass::Preempted)]);
    assert!(noticed(&seen).unwrap().contains("low on resource: memory"), "{seen:?}");
    assert_eq!((seen.tell.len(), seen.tell[0].reason.as_str()), (1, "evicted"));
    let (mut cluster, now) = working();
    let seen = cluster.pod_deleted(&pod(0, json!({ "phase": "Running" })), now);
    assert_eq!((noticed(&seen), seen.tell.len()), (None, 0), "slots were lowered: {seen:?}");
}

#[test]
fn pods_that_vanish_are_gone_whether_it_was_seen_or_not() {
    let (mut cluster, now) = working();
    let seen = cluster.pod_deleted(&pod(1, json!({ "phase": "Running" })), now);
    assert_eq!(gone(&seen), [(format!("{RUN}-1-abcde").as_str(), FailureClass::Preempted)]);
    // A watch that begins again finds one less.
    cluster.pods_listing();
    let seen = cluster.pods_listed(now);
    assert_eq!(gone(&seen), [(format!("{RUN}-0-abcde").as_str(), FailureClass::Preempted)]);
    cluster.pods_listing();
    assert_eq!(cluster.pods_listed(now), Seen::default());
}

#[test]
fn a_job_that_somebody_deletes_ends_its_run() {
    let deleted = Some((
        FailureClass::Cancelled,
        "cancelled",
        "its Job was deleted in the cluster; `nightshift retry` goes on",
    ));
    let (mut cluster, now) = working();
    assert!(cluster.knows_job(&run()));
    assert_eq!(
        cannot_go_on(&cluster.job_deleted(&job("job-0", json!({})), now)),
        None,
        "another Job"
    );
    assert_eq!(cannot_go_on(&cluster.job_deleted(&job("job-1", json!({})), now)), deleted);
    assert_eq!(cannot_go_on(&cluster.job_missing(&run(), now)), None, "it is told once");
    // Unseen, while the watch was away.
    let (mut cluster, now) = working();
    cluster.jobs_listing();
    assert_eq!(cannot_go_on(&cluster.jobs_listed(now)), deleted);
    // By ourselves, and after it has ended.
    let (mut cluster, now) = working();
    cluster.deleting("job-1");
    assert!(!cluster.knows_job(&run()));
    assert_eq!(cannot_go_on(&cluster.job_deleted(&job("job-1", json!({})), now)), None);
    let (mut cluster, now) = working();
    let complete = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    cluster.job_applied(&job("job-1", complete.clone()), now);
    assert_eq!(cannot_go_on(&cluster.job_deleted(&job("job-1", complete), now)), None);
}

#[test]
fn a_wrong_configuration_ends_the_run_with_the_words_of_the_pod() {
    let (mut cluster, now) = working();
    let target = json!({ "conditions": [{ "type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy" }] });
    assert_eq!(
        cannot_go_on(&cluster.job_applied(&job("job-1", target), now)),
        None,
        "the pod says more"
    );
    cluster.pod_applied(&pod(0, exited(78)), now);
    let seen = cluster.job_applied(&job("job-1", failed("PodFailurePolicy")), now);
    let (class, reason, message) = cannot_go_on(&seen).unwrap();
    assert_eq!((class, reason), (FailureClass::Config, "exit_78"));
    assert!(message.ends_with(": so it was"), "{message}");
    assert_eq!(
        cannot_go_on(&cluster.job_applied(&job("job-1", failed("PodFailurePolicy")), now)),
        None
    );
    // Without having seen the pod.
    let (mut cluster, now) = working();
    let seen = cluster.job_applied(&job("job-1", failed("PodFailurePolicy")), now);
    assert_eq!(cannot_go_on(&seen), None, "the watch of pods may be late");
    assert!(seen.sightings.contains(&Sighting::Changed { run: run() }), "it is looked at again");
    let later = now + WORDS_WAIT;
    let seen = cluster.job_applied(&job("job-1", failed("PodFailurePolicy")), later);
    assert_eq!(cannot_go_on(&seen).unwrap().1, "job_policy");
}

#[test]
fn a_pod_that_is_seen_after_its_job_has_failed_still_has_the_word() {
    let (mut cluster, now) = working();
    let failed = job("job-1", failed("PodFailurePolicy"));
    assert_eq!(cannot_go_on(&cluster.job_applied(&failed, now)), None);
    cluster.pod_applied(&pod(0, exited(78)), now);
    let seen = cluster.job_applied(&failed, now);
    assert_eq!(cannot_go_on(&seen).unwrap().1, "exit_78");
}

#[test]
fn a_deadline_and_too_many_failures_end_the_run() {
    for (kubernetes, reason) in
        [("DeadlineExceeded", "deadline_exceeded"), ("FailedIndexes", "backoff_limit")]
    {
        let (mut cluster, now) = working();
        let seen = cluster.job_applied(&job("job-1", failed(kubernetes)), now);
        let (class, told, _) = cannot_go_on(&seen).unwrap();
        assert_eq!((class, told), (FailureClass::Lost, reason));
    }
}

#[test]
fn a_refusal_is_told_until_there_are_pods() {
    let (mut cluster, now) = (Cluster::default(), Instant::now());
    let event: Event = serde_json::from_value(json!({
        "metadata": {},
        "involvedObject": { "kind": "Job", "name": RUN, "uid": "job-1" },
        "reason": "FailedCreate",
        "message": "Error creating: pods \"x\" is forbidden: exceeded quota: q",
    }))
    .unwrap();
    // The Event may come before its Job.
    assert_eq!(cluster.event_seen(&event, now), Seen::default());
    let seen = cluster.job_applied(&job("job-1", json!({})), now);
    assert!(noticed(&seen).unwrap().contains("the quota of the namespace is used up"));
    assert_eq!(seen.tell, [], "Kubernetes has said that itself");
    cluster.pod_applied(&pod(0, json!({ "phase": "Running" })), now);
    let seen = cluster.pod_applied(&pod(1, json!({ "phase": "Running" })), now);
    assert_eq!(noticed(&seen), Some(""));
}

#[test]
fn pods_in_the_same_trouble_are_one_line() {
    let (mut cluster, now) = working();
    let pulling = json!({ "phase": "Pending", "containerStatuses": [{
        "name": "worker", "image": "w:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "waiting": { "reason": "ImagePullBackOff", "message": "not found" } },
    }] });
    let seen = cluster.pod_applied(&pod(0, pulling.clone()), now);
    assert_eq!(seen.tell.len(), 1);
    let seen = cluster.pod_applied(&pod(1, pulling), now);
    assert!(noticed(&seen).unwrap().starts_with("2 pods alike: pod "), "{seen:?}");
    assert_eq!(seen.tell, [], "the Job was told");
    cluster.pod_applied(&pod(0, json!({ "phase": "Running" })), now);
    let seen = cluster.pod_applied(&pod(1, json!({ "phase": "Running" })), now);
    assert_eq!(noticed(&seen), Some(""));
}

#[test]
fn what_ended_before_this_process_began_is_no_news() {
    let (mut cluster, now) = (Cluster::default(), Instant::now());
    cluster.job_applied(&job("job-1", json!({})), now);
    cluster.pods_listing();
    let seen = cluster.pod_applied(&pod(0, exited(1)), now);
    assert_eq!(gone(&seen).len(), 1, "its leases are free all the same");
    assert_eq!(noticed(&seen), None);
}

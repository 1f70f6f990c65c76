//! One line for each thing that can happen, word for word.

use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::*;

fn pod_with(status: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "flights-2013-01-01-g1-0-abcde" },
        "spec": {
            "nodeName": "node-7",
            "containers": [
                { "name": "worker", "resources": { "limits": { "memory": "1Gi" } } },
            ],
        },
        "status": status,
    }))
    .unwrap()
}

fn terminated(exit: i32, reason: &str, message: &str) -> Value {
    json!({ "phase": "Failed", "containerStatuses": [{
        "name": "worker", "image": "w:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": exit, "reason": reason, "message": message } },
    }] })
}

fn waiting(container: &str, reason: &str, message: &str) -> Value {
    json!({ "phase": "Pending", "containerStatuses": [{
        "name": container, "image": "w:1", "imageID": "", "ready": false, "restartCount": 5,
        "state": { "waiting": { "reason": reason, "message": message } },
        "lastState": { "terminated": { "exitCode": 1, "reason": "Error" } },
    }] })
}

fn disrupted_by(reason: &str, message: &str) -> Value {
    let mut status = terminated(137, "Error", "");
    status["conditions"] = json!([
        { "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message },
    ]);
    status
}

#[track_caller]
fn says(explained: Option<Explanation>, reason: &str, class: FailureClass, text: &str) {
    let explained = explained.expect("something is explained");
    assert_eq!((explained.reason.as_str(), explained.class), (reason, class), "{}", explained.text);
    assert_eq!(explained.text, text);
}

#[test]
fn a_worker_that_works_needs_no_words() {
    for status in [
        json!({}),
        json!({ "phase": "Pending" }),
        json!({ "phase": "Running", "containerStatuses": [{
            "name": "worker", "image": "w:1", "imageID": "", "ready": true, "restartCount": 0,
            "state": { "running": {} },
        }] }),
        waiting("worker", "ContainerCreating", ""),
        waiting("worker", "PodInitializing", ""),
    ] {
        assert_eq!(pod(&pod_with(status)), None);
    }
}

#[test]
fn memory() {
    says(
        pod(&pod_with(terminated(137, "OOMKilled", ""))),
        "oom_killed",
        FailureClass::Lost,
        "pod flights-2013-01-01-g1-0-abcde was killed because it used more memory than its limit of 1Gi; raise spec.workers.resources.limits.memory, `nightshift plan --resources` computes it",
    );
    let mut unlimited = pod_with(terminated(137, "OOMKilled", ""));
    unlimited.spec.as_mut().unwrap().containers[0].resources = None;
    assert!(pod(&unlimited).unwrap().text.contains("what node-7 has left (it has no limit)"));
}

#[test]
fn batches_of_a_pod_without_memory() {
    assert_eq!(
        batches(None),
        "its batches had up to 8192 rows (no smaller size was learned), the next attempts at its shards get 4096"
    );
    assert_eq!(
        batches(NonZeroU32::new(512)),
        "its batches had up to 512 rows (learned before), the next attempts at its shards get 256"
    );
    assert_eq!(
        batches(NonZeroU32::new(64)),
        "its batches had up to 64 rows (learned before), smaller ones would not help"
    );
}

#[test]
fn exit_codes_and_last_words() {
    let line = r#"{"exit":78,"reason":"model_digest","message":"the model has changed","run":"r"}"#;
    says(
        pod(&pod_with(terminated(78, "Error", line))),
        "model_digest",
        FailureClass::Config,
        "pod flights-2013-01-01-g1-0-abcde has ended (78, spec, model or configuration is wrong): the model has changed",
    );
    says(
        pod(&pod_with(terminated(75, "Error", ""))),
        "drained",
        FailureClass::Preempted,
        "pod flights-2013-01-01-g1-0-abcde has ended (75, temporary: drained or interrupted, run it again)",
    );
    says(
        pod(&pod_with(terminated(139, "Error", "Segmentation fault"))),
        "exit_139",
        FailureClass::Lost,
        "pod flights-2013-01-01-g1-0-abcde has ended (139, killed by signal 11): Segmentation fault",
    );
    says(
        pod(&pod_with(terminated(0, "Completed", ""))),
        "completed",
        FailureClass::Preempted,
        "pod flights-2013-01-01-g1-0-abcde has ended (0, done and confirmed)",
    );
    // The sidecar may still run.
    let mut status = terminated(1, "Error", "");
    status["phase"] = json!("Running");
    assert_eq!(pod(&pod_with(status)).unwrap().reason, "exit_1");
}

#[test]
fn images_and_containers() {
    let class = FailureClass::Transient;
    for kubernetes in ["ImagePullBackOff", "ErrImagePull"] {
        says(
            pod(&pod_with(waiting("worker", kubernetes, "not found"))),
            "image_pull",
            class,
            "pod flights-2013-01-01-g1-0-abcde cannot pull the image w:1 of worker: not found; check the name and the pull secret",
        );
    }
    says(
        pod(&pod_with(waiting("worker", "InvalidImageName", "couldn't parse"))),
        "image_name",
        class,
        "`w:1` is no name of an image (pod flights-2013-01-01-g1-0-abcde, container worker); correct spec.workers.image or the job template",
    );
    says(
        pod(&pod_with(waiting("worker", "CreateContainerConfigError", "secret \"s\" not found"))),
        "container_config",
        class,
        "pod flights-2013-01-01-g1-0-abcde cannot make its container worker: secret \"s\" not found; create what it names, or correct the job template",
    );
    says(
        pod(&pod_with(waiting("sidecar", "CrashLoopBackOff", "back-off 5m0s"))),
        "crash_loop",
        class,
        "container sidecar of pod flights-2013-01-01-g1-0-abcde crashes again and again (5 times): 1: Error",
    );
}

#[test]
fn the_scheduler() {
    let words = "0/3 nodes are available: 3 Insufficient memory.";
    let status = |reason: &str| {
        json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": reason, "message": words },
        ] })
    };
    says(
        pod(&pod_with(status("Unschedulable"))),
        "unschedulable",
        FailureClass::Transient,
        "pod flights-2013-01-01-g1-0-abcde fits on no node: 0/3 nodes are available: 3 Insufficient memory.",
    );
    assert_eq!(pod(&pod_with(status("SchedulingGated"))).unwrap().reason, "scheduling_gated");
}

#[test]
fn pods_that_had_to_go() {
    let class = FailureClass::Preempted;
    let mut evicted = terminated(137, "Error", "");
    evicted["reason"] = json!("Evicted");
    evicted["message"] = json!("The node was low on resource: memory.");
    says(
        pod(&pod_with(evicted)),
        "evicted",
        class,
        "pod flights-2013-01-01-g1-0-abcde was evicted from node-7: The node was low on resource: memory.",
    );
    for (kubernetes, reason) in [
        ("PreemptionByScheduler", "preempted"),
        ("EvictionByEvictionAPI", "evicted"),
        ("TerminationByKubelet", "evicted"),
        ("DeletionByTaintManager", "node_lost"),
        ("DeletionByPodGC", "node_lost"),
        ("SomethingNew", "disrupted"),
    ] {
        let explained = pod(&pod_with(disrupted_by(kubernetes, "words"))).unwrap();
        assert_eq!((explained.reason.as_str(), explained.class), (reason, class), "{kubernetes}");
        assert!(explained.text.ends_with(&format!("({kubernetes}): words")), "{}", explained.text);
    }
    assert_eq!(deleted(&pod_with(json!({}))).text, "pod flights-2013-01-01-g1-0-abcde was deleted");
    let mut lost = pod_with(json!({ "phase": "Running", "reason": "NodeLost" }));
    lost.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    says(
        pod(&lost),
        "node_lost",
        class,
        "pod flights-2013-01-01-g1-0-abcde is to go, but node-7 does not answer",
    );
}

fn job_with(condition: &str, reason: &str, message: &str) -> Job {
    serde_json::from_value(json!({
        "metadata": { "name": "j" },
        "status": { "conditions": [
            { "type": condition, "status": "True", "reason": reason, "message": message },
        ] },
    }))
    .unwrap()
}

#[test]
fn jobs_end() {
    for (kubernetes, reason, class) in [
        ("PodFailurePolicy", "job_policy", FailureClass::Config),
        ("BackoffLimitExceeded", "backoff_limit", FailureClass::Lost),
        ("FailedIndexes", "backoff_limit", FailureClass::Lost),
        ("MaxFailedIndexesExceeded", "backoff_limit", FailureClass::Lost),
        ("DeadlineExceeded", "deadline_exceeded", FailureClass::Lost),
        ("SomethingNew", "job_failed", FailureClass::Lost),
    ] {
        for condition in ["Failed", "FailureTarget"] {
            let end = job_end(&job_with(condition, kubernetes, "words")).unwrap();
            let JobEnd::Failed(explained) = end else { panic!("{kubernetes} is no failure") };
            assert_eq!((explained.reason.as_str(), explained.class), (reason, class));
            let text = format!("({kubernetes}): words; `nightshift retry` goes on");
            assert!(explained.text.ends_with(&text), "{}", explained.text);
        }
    }
    for condition in ["Complete", "SuccessCriteriaMet"] {
        assert_eq!(job_end(&job_with(condition, "", "")), Some(JobEnd::Complete));
    }
    assert_eq!(job_end(&job_with("Suspended", "JobSuspended", "")), None);
    assert_eq!(job_end(&Job::default()), None);
}

#[test]
fn jobs_that_wait() {
    let mut job: Job = serde_json::from_value(
        json!({ "metadata": { "name": "j" }, "spec": { "suspend": true, "template": {} } }),
    )
    .unwrap();
    assert_eq!(suspended(&job).unwrap().reason, "suspended");
    let labels = [("kueue.x-k8s.io/queue-name".to_owned(), "night".to_owned())];
    job.metadata.labels = Some(labels.into());
    says(
        suspended(&job),
        "queued",
        FailureClass::Preempted,
        "Job j waits in the Kueue queue night until there is room for it",
    );
    job.spec.as_mut().unwrap().suspend = Some(false);
    assert_eq!(suspended(&job), None);
}

#[test]
fn pods_that_are_refused() {
    for (words, reason) in [
        (
            "pods \"j-0-x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3",
            "quota",
        ),
        (
            "pods \"j-0-x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false",
            "pod_security",
        ),
        ("admission webhook \"policy.example.com\" denied the request: no", "admission"),
        (
            "pods \"j\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "admission",
        ),
        (
            "pods \"j-0-\" is forbidden: error looking up service account n/w: serviceaccount \"w\" not found",
            "service_account",
        ),
        ("Pod \"j-0-x\" is invalid: spec.containers[0].image: Required value", "pod_invalid"),
        ("Internal error occurred", "pods_refused"),
    ] {
        let told: Event = serde_json::from_value(json!({
            "metadata": {},
            "involvedObject": { "kind": "Job", "name": "j" },
            "reason": "FailedCreate",
            "message": format!("Error creating: {words}"),
        }))
        .unwrap();
        let explained = event(&told).unwrap();
        assert_eq!(explained.reason, reason);
        assert_eq!(explained.class, FailureClass::Transient);
        assert!(explained.text.starts_with("Job j gets no pods, "), "{}", explained.text);
        assert!(explained.text.ends_with(words), "{}", explained.text);
    }
    let normal: Event = serde_json::from_value(json!({
        "metadata": {}, "involvedObject": { "kind": "Job", "name": "j" }, "reason": "SuccessfulCreate",
    }))
    .unwrap();
    assert_eq!(event(&normal), None);
    let mount: Event = serde_json::from_value(json!({
        "metadata": {}, "involvedObject": { "kind": "Pod", "name": "p" }, "reason": "FailedMount", "message": "no disk",
    }))
    .unwrap();
    assert_eq!(event(&mount).unwrap().text, "pod p waits for a volume: no disk");
}

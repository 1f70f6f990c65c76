//! What becomes of a run's Job, whatever the API server does.

use std::time::{Duration, Instant};

use nightshift_coordinator::launch::{LaunchError, Launcher, Sighting, Wanted};
use nightshift_core::spec::Workers;
use nightshift_tests::kubernetes::faults::{Fault, Seen};
use nightshift_tests::waiting::wait_for;
use serde_json::json;

use crate::cluster::{Cluster, NAMESPACE, RUN, condition, exited, run, wanted, wanted_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_gets_one_job_with_its_config_map() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.converge(&wanted(100, &[])).await, 4);
    let job = cluster.job().unwrap();
    let map = cluster.kubernetes.get("configmaps", NAMESPACE, RUN).unwrap();
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], map["metadata"]["uid"]);
    assert_eq!((&job["spec"]["completions"], &job["spec"]["parallelism"]), (&json!(4), &json!(4)));
    let version = job["metadata"]["resourceVersion"].clone();
    assert_eq!(cluster.converge(&wanted(99, &[])).await, 4);
    assert_eq!(cluster.job().unwrap()["metadata"]["resourceVersion"], version, "nothing to change");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_follow_the_work_but_not_below_a_lease() {
    let cluster = Cluster::start().await;
    cluster.converge(&wanted(100, &[])).await;
    let busy = format!("{RUN}-2-abcde");
    assert_eq!(cluster.converge(&wanted(2, &[&busy])).await, 3);
    assert_eq!(cluster.converge(&wanted(1, &[])).await, 1);
    let spec = &cluster.job().unwrap()["spec"];
    assert_eq!((&spec["completions"], &spec["parallelism"]), (&json!(1), &json!(1)));
    assert_eq!(cluster.converge(&wanted(3, &[])).await, 3, "shards came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_kueue_is_never_scaled_nor_resumed() {
    let cluster = Cluster::start().await;
    let overlay = json!({ "metadata": { "labels": { "kueue.x-k8s.io/queue-name": "night" } } });
    let pod_template = serde_json::from_value(overlay).unwrap();
    let workers =
        Workers { parallelism: 4, pod_template: Some(pod_template), ..Workers::default() };
    let wanted = |shards| wanted_with(shards, &[], workers.clone());
    assert_eq!(cluster.converge(&wanted(100)).await, 4);
    assert_eq!(cluster.job().unwrap()["spec"]["suspend"], json!(true));
    cluster.kubernetes.change("jobs", NAMESPACE, RUN, |job| job["spec"]["suspend"] = json!(false));
    assert_eq!(cluster.converge(&wanted(1)).await, 4);
    let spec = &cluster.job().unwrap()["spec"];
    assert_eq!((&spec["suspend"], &spec["completions"]), (&json!(false), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_rests_outside_of_its_window_once_no_lease_is_out() {
    let cluster = Cluster::start().await;
    let closed = |busy: &[&str]| Wanted { closed: true, ..wanted(9, busy) };
    let suspended = || cluster.job().unwrap()["spec"]["suspend"] == json!(true);
    assert_eq!(cluster.converge(&closed(&[])).await, 0);
    assert!(cluster.job().is_none(), "no Job is made for a run that may not begin");
    assert_eq!(cluster.converge(&wanted(9, &[])).await, 4);
    let busy = format!("{RUN}-2-abcde");
    cluster.converge(&closed(&[&busy])).await;
    assert!(!suspended(), "its worker goes on to the end of the shard");
    cluster.converge(&closed(&[])).await;
    assert!(suspended());
    cluster.converge(&closed(&[])).await;
    assert!(suspended());
    cluster.converge(&wanted(9, &[])).await;
    assert!(!suspended(), "the window has opened");
    cluster.kubernetes.change("jobs", NAMESPACE, RUN, |job| job["spec"]["suspend"] = json!(true));
    cluster.converge(&wanted(9, &[])).await;
    assert!(suspended(), "what a person has suspended stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_named_and_then_overcome() {
    let cluster = Cluster::start().await;
    let faults = cluster.kubernetes.faults();
    for (seen, reason) in [
        (Seen::exceeded_quota(), "forbidden"),
        (Seen::webhook_denial("not on Sundays"), "forbidden"),
        (Seen::conflict(), "conflict"),
        (Seen::unavailable(), "unavailable"),
        (Seen::internal_error(), "unavailable"),
        (Seen::Reset, "unavailable"),
    ] {
        faults.add(Fault::on("*", "jobs", seen));
        assert_eq!(cluster.refused(&wanted(9, &[])).await.reason(), reason);
        faults.clear();
    }
    assert_eq!(cluster.converge(&wanted(9, &[])).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_makes_no_second_job() {
    let cluster = Cluster::start().await;
    let faults = cluster.kubernetes.faults();
    faults.add(Fault::on("*", "jobs", Seen::Reset).happens().times(3));
    faults.add(Fault::on("*", "configmaps", Seen::unavailable()).happens().times(2));
    assert_eq!(cluster.converge(&wanted(9, &[])).await, 4);
    assert_eq!(cluster.kubernetes.list("jobs", NAMESPACE).len(), 1);
    assert_eq!(cluster.kubernetes.list("configmaps", NAMESPACE).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_that_makes_no_job_leaves_nothing_behind() {
    let cluster = Cluster::start().await;
    let overlay = json!({ "spec": { "restartPolicy": "Always" } });
    let pod_template = serde_json::from_value(overlay).unwrap();
    let workers =
        Workers { parallelism: 4, pod_template: Some(pod_template), ..Workers::default() };
    let error = cluster.refused(&wanted_with(9, &[], workers)).await;
    assert!(error.is_final() && matches!(error, LaunchError::Order(_)), "{error}");
    assert_eq!(cluster.kubernetes.list("configmaps", NAMESPACE).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_something_else_is_left_alone() {
    let cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    cluster.kubernetes.change("jobs", NAMESPACE, RUN, |job| {
        job["metadata"]["annotations"]["nightshift.dev/run"] = json!("other-2013-01-01-g1");
    });
    let before = cluster.job();
    assert_eq!(cluster.refused(&wanted(9, &[])).await.reason(), "foreign");
    cluster.tidy().await;
    assert_eq!(cluster.job(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_pods_are_seen_at_once_and_explained() {
    let mut cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    let pod = cluster.add_pod(0, json!({ "phase": "Running" })).await;
    cluster.set_status("pods", &pod, exited(137, "OOMKilled"));
    let (host, reason, message) = cluster.worker_gone().await;
    assert_eq!((host.as_str(), reason.as_str()), (pod.as_str(), "oom_killed"));
    assert!(message.contains("its limit of 1Gi"), "{message}");
    wait_for("the Job has an Event", || {
        let events = cluster.kubernetes.list("events", NAMESPACE);
        events.iter().any(|event| event.to_string().contains("OomKilled")).then_some(())
    });
    let pod = cluster.add_pod(1, json!({ "phase": "Running" })).await;
    cluster.kubernetes.delete("pods", NAMESPACE, &pod);
    let (host, reason, _) = cluster.worker_gone().await;
    assert_eq!((host.as_str(), reason.as_str()), (pod.as_str(), "deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_cannot_begin_are_noticed() {
    let mut cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    let words = "0/3 nodes are available: 3 Insufficient memory.";
    let status = json!({ "phase": "Pending", "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words },
    ] });
    cluster.add_pod(0, status).await;
    let notice = cluster.noticed().await;
    assert!(notice.ends_with(words), "{notice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_api_was_away_is_found_out() {
    let mut cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    let gone = cluster.add_pod(0, json!({ "phase": "Running" })).await;
    let ended = cluster.add_pod(1, json!({ "phase": "Running" })).await;
    // The watch has seen both once it tells of a third.
    let third = cluster.add_pod(2, exited(75, "Error")).await;
    assert_eq!(cluster.worker_gone().await.0, third);
    cluster.kubernetes.go_away();
    cluster.kubernetes.delete("pods", NAMESPACE, &gone);
    cluster.set_status("pods", &ended, exited(1, "Error"));
    assert_eq!(cluster.refused(&wanted(9, &[])).await.reason(), "unavailable");
    cluster.kubernetes.compact();
    cluster.kubernetes.come_back();
    let mut hosts = [cluster.worker_gone().await.0, cluster.worker_gone().await.0];
    hosts.sort();
    assert_eq!(hosts, [gone, ended]);
    assert_eq!(cluster.converge(&wanted(9, &[])).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_somebody_deletes_is_not_made_again() {
    let mut cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    cluster.kubernetes.delete("jobs", NAMESPACE, RUN);
    cluster.converge(&wanted(9, &[])).await;
    assert_eq!(cluster.ended().await, "cancelled");
    assert_eq!(cluster.job(), None);
    cluster.tidy().await;
    assert_eq!(cluster.kubernetes.list("configmaps", NAMESPACE).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_ends_its_run_with_the_reason() {
    for (kubernetes, reason) in [
        ("DeadlineExceeded", "deadline_exceeded"),
        ("BackoffLimitExceeded", "backoff_limit"),
        ("PodFailurePolicy", "job_policy"),
    ] {
        let mut cluster = Cluster::start().await;
        cluster.converge(&wanted(9, &[])).await;
        cluster.set_status("jobs", RUN, condition("Failed", kubernetes, "words"));
        assert_eq!(cluster.ended_while_compared(&wanted(9, &[])).await, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_coordinator_left_is_found_and_tidied_up() {
    let mut cluster = Cluster::start().await;
    cluster.converge(&wanted(9, &[])).await;
    cluster.restart();
    assert_eq!(cluster.launcher.present().await.unwrap(), [run()]);
    // Its pods never began, so nobody tells them that the run is over.
    cluster.tidy().await;
    assert_eq!(cluster.job(), None);
    assert_eq!(cluster.launcher.present().await.unwrap(), []);
    let mut sightings = Vec::new();
    // The last thing that is told about a Job that is gone.
    cluster
        .sighted(|sighting| {
            let last = matches!(sighting, Sighting::Changed { .. });
            sightings.push(sighting);
            last.then_some(())
        })
        .await;
    let ended = |sighting: &Sighting| matches!(sighting, Sighting::CannotGoOn { .. });
    assert!(!sightings.iter().any(ended), "we deleted it: {sightings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_complete_before_its_run_is_made_again_after_a_pause() {
    let cluster = Cluster::start().await;
    let mut lasted = Duration::ZERO;
    for _ in 0..3 {
        cluster.converge(&wanted(9, &[])).await;
        cluster.set_status("jobs", RUN, condition("Complete", "SuccessPolicy", "words"));
        let began = Instant::now();
        assert_eq!(cluster.refused(&wanted(9, &[])).await.reason(), "fruitless");
        assert_eq!(cluster.converge(&wanted(9, &[])).await, 4);
        lasted = began.elapsed();
    }
    // The third pause is of two seconds, less a half at most.
    assert!(lasted >= Duration::from_secs(1), "{lasted:?}");
    assert_eq!(cluster.kubernetes.list("jobs", NAMESPACE).len(), 1);
    cluster.tidy().await;
}

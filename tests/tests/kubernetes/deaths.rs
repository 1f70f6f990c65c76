//! Pods that end before their run does: what is told, what is counted, who goes on.

use std::time::Duration;

use nightshift_proto::wire::report_request::Outcome;
use nightshift_proto::wire::{Failed, FailureClass, ReleaseRequest, ReportRequest};
use nightshift_tests::grpc::wish;
use nightshift_tests::kubernetes::node::PodState;
use nightshift_tests::kubernetes::object;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;

use crate::stage::{DATES, FOREVER, NAMESPACE, Setup, Stage, WORKER_IMAGE, report};

/// `activeDeadlineSeconds` of the base.
const DEADLINE: Duration = Duration::from_secs(86_400);
const LIMIT: &str = "used more memory than its limit of 1Gi";

#[test]
fn a_pod_out_of_memory_is_explained_and_its_shard_goes_to_another() {
    let mut stage = Stage::start(&Setup { lease_ttl: FOREVER, shards: 20, ..Setup::default() });
    let run = stage.submit(&DATES[..1]).remove(0);
    let (pod, shard) = stage.scoring_pod(&run);
    stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
    let words = "raise spec.workers.resources.limits.memory, `nightshift plan --resources`";
    let batches = "its batches had up to 8192 rows (no smaller size was learned)";
    stage.wait_until_why_says(&run, &[&pod, LIMIT, words, batches]);
    let said = stage.why(&[&run, &shard.to_string()]);
    assert!(said.contains(LIMIT) && said.contains("oom_killed"), "{said}");
    let status = stage.operator(&["status", &run]).run().expect(0);
    assert!(status.stdout.contains(&pod), "status does not say it: {status}");
    stage.wait_for_event(&run, "OomKilled", LIMIT);
    stage.wait_for_event(&run, "OomKilled", batches);
    // Its lease lasts ten minutes; only the watch can have freed it.
    stage.ends(DATES[0], 1, "succeeded");
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Complete").is_some());
    assert_eq!(job["status"]["failed"], 1, "{job}");
    stage.is_sound(1);
}

#[test]
fn a_pod_out_of_memory_is_explained_with_the_batch_size_that_was_learned() {
    const BATCHES: &str =
        "its batches had up to 512 rows (learned before), the next attempts at its shards get 256";
    let setup = Setup { lease_ttl: FOREVER, shards: 40, crashes: Some(0), ..Setup::default() };
    let mut stage = Stage::start(&setup);
    let run = stage.submit(&DATES[..1]).remove(0);
    // A worker that came down to 512 rows says so; whoever is granted a shard from then on is told.
    let client = stage.coordinator().client();
    let reports = |size: u32| {
        let grant = wait_for("a shard", || {
            client.acquire(wish("other", &format!("r{size}"), 1)).unwrap().grants.pop()
        });
        let failed = Failed {
            class: FailureClass::Transient.into(),
            reason: "out_of_memory".to_owned(),
            message: "there is no memory for a batch of 1024 rows".to_owned(),
        };
        let report = ReportRequest {
            worker_id: "other".to_owned(),
            lease: grant.lease.clone(),
            attempt: "01M8HYJ9V4JCB1R9PRBAF6P659".to_owned(),
            outcome: Some(Outcome::Failed(failed)),
            batch_size: size,
        };
        client.report(report).unwrap();
        grant.batch_size
    };
    assert_eq!(reports(512), 0, "nothing was learned before");
    // Their leases are of before that; the next ones are not.
    let done = store::recorded(&stage.output(), &run).len();
    stage.wait_for_records(&run, done + 4);
    let (pod, shard) = stage.scoring_pod(&run);
    stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
    stage.wait_until_why_says(&run, &[&pod, LIMIT, BATCHES]);
    stage.wait_for_event(&run, "OomKilled", BATCHES);
    let status = stage.operator(&["status", &run]).run().expect(0);
    let status: Vec<&str> = status.stdout.split_whitespace().collect();
    assert!(status.join(" ").contains(BATCHES), "{status:?}");
    // Others get half, at once.
    let next =
        wait_for("another shard", || client.acquire(wish("next", "r", 1)).unwrap().grants.pop());
    assert_eq!(next.batch_size, 256);
    let back = ReleaseRequest {
        worker_id: "next".to_owned(),
        leases: next.lease.into_iter().collect(),
        leaving: true,
    };
    client.release(back).unwrap();
    let verdict = stage.ends(DATES[0], 1, "partial");
    let given_up = verdict["quarantined"].as_array().unwrap();
    let given_up = given_up.iter().find(|one| one["shard"] == shard).unwrap();
    assert!(given_up["message"].as_str().unwrap().contains(BATCHES), "{given_up}");
    let text = report(&stage.bench, DATES[0]);
    assert!(text.stdout.contains("(learned before)"), "{text}");
    stage.is_sound(1);
}

#[test]
fn what_ended_a_shard_is_in_the_report_and_a_retry_goes_on() {
    let setup = Setup { lease_ttl: FOREVER, shards: 20, crashes: Some(0), ..Setup::default() };
    let mut stage = Stage::start(&setup);
    let run = stage.submit(&DATES[..1]).remove(0);
    let (pod, shard) = stage.scoring_pod(&run);
    stage.kubernetes.run_out_of_memory(NAMESPACE, &pod);
    let verdict = stage.ends(DATES[0], 1, "partial");
    let given_up = verdict["quarantined"].as_array().unwrap();
    let given_up = given_up.iter().find(|one| one["shard"] == shard).unwrap();
    assert_eq!(given_up["reason"], "oom_killed", "{given_up}");
    let said = given_up["message"].as_str().unwrap();
    assert!(said.contains(&pod) && said.contains(LIMIT), "{said}");
    let text = report(&stage.bench, DATES[0]);
    assert!(text.stdout.contains("oom_killed") && text.stdout.contains(LIMIT), "{text}");
    stage.wait_until_why_says(&run, &["oom_killed", LIMIT]);
    stage.operator(&["retry", &run]).run().expect(0);
    stage.ends(DATES[0], 2, "succeeded");
    stage.is_sound(2);
}

#[test]
fn evictions_count_nothing() {
    let mut stage = Stage::start(&Setup { lease_ttl: FOREVER, shards: 20, ..Setup::default() });
    let run = stage.submit(&DATES[..1]).remove(0);
    // A drained node gives its pods time to end.
    let (drained, _) = stage.scoring_pod(&run);
    let drained_uid =
        object::uid(&stage.kubernetes.get("pods", NAMESPACE, &drained).unwrap()).to_owned();
    stage.kubernetes.evict(NAMESPACE, &drained);
    wait_for("its replacement", || {
        let pods = stage.pods(&run);
        let there = pods.iter().any(|pod| object::uid(pod) == drained_uid);
        (!there && pods.len() == 2).then_some(())
    });
    let logs = stage.kubernetes.logs("worker");
    let (_, said) = logs.iter().find(|(pod, _)| *pod == drained).unwrap();
    assert!(said.contains("drained"), "it did not drain:\n{said}");
    // One that is short of memory does not.
    let (killed, _) = stage.scoring_pod(&run);
    let why = PodState::Evicted("The node was low on resource: memory.".to_owned());
    stage.kubernetes.set_pod(NAMESPACE, &killed, &why);
    stage.wait_until_why_says(&run, &[&killed, "was evicted from", "low on resource: memory"]);
    stage.wait_for_event(&run, "Evicted", "was evicted");
    stage.ends(DATES[0], 1, "succeeded");
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Complete").is_some());
    assert_eq!(job["status"]["failed"].as_i64().unwrap_or(0), 0, "{job}");
    assert_eq!(stage.pods_made(&run), 4, "two pods and two replacements");
    stage.is_sound(1);
}

#[test]
fn pods_that_only_crash_end_their_run_with_the_reason() {
    let setup = Setup { dates: 2, shards: 4, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    stage.add_script(WORKER_IMAGE, "exit 139");
    let crashing = stage.submit(&DATES[..1]).remove(0);
    let verdict = stage.ends(DATES[0], 1, "failed");
    assert_eq!(verdict["quarantined"][0]["reason"], "backoff_limit", "{verdict}");
    stage.wait_until_why_says(&crashing, &["failed too often", "FailedIndexes"]);
    // A wrong configuration is tried once.
    let words = r#"{"reason":"model_digest","message":"the model is another one"}"#;
    let text = format!("echo '{words}' > \"$NIGHTSHIFT_TERMINATION_LOG\"; exit 78");
    stage.add_script(WORKER_IMAGE, &text);
    let wrong = stage.submit(&DATES[1..2]).remove(0);
    let verdict = stage.ends(DATES[1], 1, "failed");
    let given_up = &verdict["quarantined"][0];
    assert_eq!(
        (&given_up["class"], &given_up["reason"]),
        (&"config".into(), &"model_digest".into())
    );
    stage.wait_until_why_says(&wrong, &["the model is another one"]);
    let job = stage.wait_for_job(&wrong, |job| object::condition(job, "Failed").is_some());
    assert_eq!(object::condition(&job, "Failed").unwrap()["reason"], "PodFailurePolicy");
    stage.is_sound(2);
}

#[test]
fn a_job_past_its_deadline_ends_its_run_and_a_retry_goes_on() {
    let mut stage = Stage::start(&Setup::default());
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 1);
    stage.kubernetes.advance(DEADLINE);
    let verdict = stage.ends(DATES[0], 1, "partial");
    assert_eq!(verdict["quarantined"][0]["reason"], "deadline_exceeded", "{verdict}");
    stage.wait_until_why_says(&run, &["has run longer than its activeDeadlineSeconds"]);
    stage.operator(&["retry", &run]).run().expect(0);
    stage.ends(DATES[0], 2, "succeeded");
    stage.is_sound(2);
}

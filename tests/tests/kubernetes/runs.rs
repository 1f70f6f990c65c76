//! Runs in which nothing goes wrong: what becomes of Job, pods and slots.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_tests::kubernetes::object;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;
use serde_json::{Value, json};

use crate::stage::{DATES, NAMESPACE, Setup, Stage, run_of};

/// `ttlSecondsAfterFinished` of the base.
const TTL: Duration = Duration::from_secs(86_400);

#[test]
fn a_run_has_a_job_from_submit_to_its_ttl() {
    let mut stage = Stage::start(&Setup::default());
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 2);
    let kubectl = |what: &str| -> Value {
        let done = stage.kubernetes.kubectl(&["get", what, "-o", "json"]).expect(0);
        serde_json::from_str(&done.stdout).unwrap()
    };
    let status = || -> Value {
        let done = stage.operator(&["status", &run, "--output-format", "json"]).run().expect(0);
        serde_json::from_str(&done.stdout).unwrap()
    };
    // The story in the middle: two pods, two workers.
    let job = &kubectl("jobs")["items"][0];
    assert_eq!(job["status"]["active"], 2, "{job}");
    let pods = kubectl("pods")["items"].clone();
    for pod in pods.as_array().unwrap() {
        assert_eq!(pod["status"]["phase"], "Running", "{pod}");
        assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true, "{pod}");
    }
    assert!(status().to_string().contains("\"running\""), "{}", status());
    let words = ["submit", stage.bench.spec().to_str().unwrap(), "--date", DATES[0], "--wait"]
        .map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.operator(&words).run().expect(0);
    // The story at the end.
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Complete").is_some());
    assert_eq!(object::condition(&job, "Complete").unwrap()["reason"], "SuccessPolicy");
    assert_eq!(kubectl("jobs")["items"][0]["status"]["active"], Value::Null);
    assert!(status().to_string().contains("\"succeeded\""), "{}", status());
    let pods = stage.pods(&run);
    let pods = pods.iter().filter(|pod| pod["status"]["phase"] == "Succeeded");
    let ended = ["initContainerStatuses", "containerStatuses"];
    let ended = pods.filter(|pod| {
        let ended = ended.map(|list| pod["status"][list][0]["state"]["terminated"].clone());
        ended.iter().all(|ended| ended["exitCode"] == 0)
    });
    assert!(ended.count() > 0, "no pod has ended well, sidecar and worker: {pods:?}", pods = stage.pods(&run));
    stage.kubernetes.advance(TTL);
    wait_for("nothing of the run is left in the cluster", || {
        let left = ["jobs", "pods", "configmaps"];
        let left = left.iter().map(|plural| stage.kubernetes.list(plural, NAMESPACE).len());
        (left.sum::<usize>() == 0).then_some(())
    });
    stage.is_sound(1);
}

#[test]
fn several_dates_have_a_job_each() {
    let setup = Setup { dates: 3, shards: 4, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    let runs = stage.submit(&DATES[..3]);
    for run in &runs {
        let job = stage.wait_for_job(run, |_| true);
        assert_eq!(job["spec"]["completions"], 2, "{job}");
    }
    for (date, run) in DATES.iter().zip(&runs) {
        stage.ends(date, 1, "succeeded");
        stage.wait_for_job(run, |job| object::condition(job, "Complete").is_some());
    }
    stage.is_sound(3);
}

#[test]
fn slots_follow_the_shards_that_are_left_and_come_back_with_a_retry() {
    let setup = Setup { parallelism: 4, shards: 7, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    // One pod does all the work, the one of the lowest index; the others have no room.
    stage.kubernetes.set_room(1);
    let run = stage.submit(&DATES[..1]).remove(0);
    let mut seen = BTreeSet::new();
    wait_for("a single slot is left", || {
        let job = stage.job(&run)?;
        let slots = job["spec"]["completions"].as_u64().unwrap();
        assert_eq!(job["spec"]["parallelism"], slots, "the two go together");
        assert!(seen.iter().all(|before| slots <= *before), "{slots} after {seen:?}");
        seen.insert(slots);
        (slots == 1).then_some(())
    });
    assert!(seen.contains(&4), "{seen:?}");
    let left = wait_for("the pods without a slot are gone", || {
        let pods = stage.pods(&run);
        let index = "batch.kubernetes.io/job-completion-index";
        (pods.len() == 1).then(|| object::annotation(&pods[0], index).unwrap().to_owned())
    });
    assert_eq!(left, "0");
    stage.operator(&["cancel", &run, "--yes"]).run().expect(0);
    let verdict = wait_for("the verdict", || store::verdict(&stage.output(), DATES[0], 1));
    if verdict["state"] == "succeeded" {
        // The last shard was faster than the cancellation.
        return stage.is_sound(1);
    }
    let left = verdict["totals"]["quarantined"].as_u64().unwrap();
    stage.kubernetes.set_room(usize::MAX);
    stage.operator(&["retry", &run]).run().expect(0);
    let again = run_of(DATES[0]).replace("-g1", "-g2");
    let job = stage.wait_for_job(&again, |_| true);
    assert_eq!(job["spec"]["completions"], json!(left.min(4)), "{job}");
    stage.ends(DATES[0], 2, "succeeded");
    stage.is_sound(2);
}

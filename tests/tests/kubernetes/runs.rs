//! Runs in which nothing goes wrong: what becomes of Job, pods and slots.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_tests::kubernetes::object;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;
use serde_json::{Value, json};

use crate::stage::{DATES, NAMESPACE, SLOW, Setup, Stage, run_of};

/// `ttlSecondsAfterFinished` of the base.
const TTL: Duration = Duration::from_secs(86_400);

#[test]
fn a_run_has_a_job_from_submit_to_its_ttl() {
    let mut stage = Stage::start(&Setup { rows_per_second: SLOW / 4, ..Setup::default() });
    let run = stage.submit(&DATES[..1]).remove(0);
    let kubectl = || -> Vec<Value> {
        let done = stage.kubernetes.kubectl(&["get", "jobs,pods", "-o", "json"]).expect(0);
        let list: Value = serde_json::from_str(&done.stdout).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let status = || -> String {
        let done = stage.operator(&["status", &run, "--output-format", "json"]).run().expect(0);
        let status: Value = serde_json::from_str(&done.stdout).unwrap();
        status.to_string()
    };
    // The story in the middle: a Job with two pods, a run with two workers.
    wait_for("two workers", || status().contains("\"workers\":2").then_some(()));
    assert!(status().contains("\"running\""), "{}", status());
    let objects = kubectl();
    let phases: Vec<&Value> = objects.iter().map(|object| &object["status"]["phase"]).collect();
    assert_eq!(phases, [&Value::Null, &json!("Running"), &json!("Running")]);
    assert_eq!(objects[0]["status"]["active"], 2, "{}", objects[0]);
    for pod in &objects[1..] {
        assert_eq!(pod["status"]["initContainerStatuses"][0]["ready"], true, "{pod}");
    }
    // Submitted again, it is joined.
    let spec = stage.bench.spec();
    let words = ["submit", spec.to_str().unwrap(), "--date", DATES[0], "--wait"];
    stage.operator(&words).run().expect(0);
    // The story at the end.
    let job = stage.wait_for_job(&run, |job| object::condition(job, "Complete").is_some());
    assert_eq!(object::condition(&job, "Complete").unwrap()["reason"], "SuccessPolicy");
    assert!(status().contains("\"succeeded\""), "{}", status());
    let objects = kubectl();
    assert_eq!(objects[0]["status"]["active"], Value::Null, "{}", objects[0]);
    let mut succeeded = objects.iter().filter(|pod| pod["status"]["phase"] == "Succeeded");
    let pod = succeeded.next().expect("a pod has said that the run is over");
    for list in ["initContainerStatuses", "containerStatuses"] {
        assert_eq!(pod["status"][list][0]["state"]["terminated"]["exitCode"], 0, "{pod}");
    }
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
    // Two seconds for each shard: slots are looked at every half second, later on a busy machine.
    let rows_per_second = SLOW / 4;
    let setup = Setup { parallelism: 4, shards: 5, rows_per_second, ..Setup::default() };
    let mut stage = Stage::start(&setup);
    // One pod does all the work, the one of the lowest index; the others have no room.
    stage.kubernetes.set_room(1);
    let run = stage.submit(&DATES[..1]).remove(0);
    let mut seen = BTreeSet::new();
    wait_for("half of the slots are gone", || {
        let job = stage.job(&run)?;
        let slots = job["spec"]["completions"].as_u64().unwrap();
        assert_eq!(job["spec"]["parallelism"], slots, "the two go together");
        assert!(seen.iter().all(|before| slots <= *before), "{slots} after {seen:?}");
        seen.insert(slots);
        (slots <= 2).then_some(())
    });
    assert!(seen.contains(&4), "{seen:?}");
    wait_for("the pods of the highest indexes are gone", || {
        let pods = stage.pods(&run);
        let index = "batch.kubernetes.io/job-completion-index";
        let mut indexes = pods.iter().map(|pod| object::annotation(pod, index).unwrap());
        indexes.all(|index| ["0", "1"].contains(&index)).then_some(())
    });
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

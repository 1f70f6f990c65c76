//! Coordinators that die, end, stand by, or find that somebody has deleted a Job.

use std::collections::BTreeSet;

use nightshift_tests::coordinator::Coordinator;
use nightshift_tests::kubernetes::object;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{log, store};

use crate::stage::{DATES, NAMESPACE, Setup, Stage};

fn twenty() -> Setup {
    Setup { shards: 20, ..Setup::default() }
}

/// How often inference on each shard was started, over all pods.
fn started(stage: &Stage) -> log::Shards {
    let mut all = log::Shards::new();
    for (_, said) in stage.kubernetes.logs("worker") {
        for (shard, times) in log::started(&said) {
            *all.entry(shard).or_default() += times;
        }
    }
    all
}

/// Fails if a shard of `recorded` was started since `before`.
fn nothing_again(stage: &Stage, recorded: &BTreeSet<u32>, before: &log::Shards) {
    let now = started(stage);
    let again: Vec<&u32> =
        recorded.iter().filter(|shard| now.get(shard) != before.get(shard)).collect();
    assert!(again.is_empty(), "shards {again:?} had a record and were scored again");
}

/// A run whose coordinator ends as `end` says, and is started again.
fn outlives(end: impl FnOnce(&mut Coordinator)) {
    let mut stage = Stage::start(&twenty());
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 3);
    let job = object::uid(&stage.job(&run).unwrap()).to_owned();
    end(stage.coordinator());
    let recorded = store::recorded(&stage.output(), &run);
    let before = started(&stage);
    for pod in stage.pods(&run) {
        assert_eq!(pod["status"]["phase"], "Running", "{pod}");
    }
    stage.coordinator().restart();
    stage.ends(DATES[0], 1, "succeeded");
    nothing_again(&stage, &recorded, &before);
    let jobs = stage.kubernetes.list("jobs", NAMESPACE);
    assert_eq!(jobs.iter().map(object::uid).collect::<Vec<_>>(), [job]);
    assert_eq!(stage.pods_made(&run), 2, "a pod was replaced");
    stage.is_sound(1);
}

#[test]
fn a_coordinator_that_is_killed_finds_its_job_again() {
    outlives(Coordinator::kill);
}

#[test]
fn a_coordinator_that_is_told_to_end_leaves_pods_and_leases_to_the_next() {
    outlives(|coordinator| {
        coordinator.terminate().expect(0);
    });
}

#[test]
fn the_coordinator_that_stands_by_takes_over_from_a_leader_that_is_killed() {
    let arguments = &["--leader-elect", "nightshift-coordinator"];
    let mut stage = Stage::start(&Setup { shards: 20, arguments, ..Setup::default() });
    let standby = Coordinator::stand_by(&stage.coordinators[0]);
    stage.coordinators.push(standby);
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 3);
    assert!(!stage.coordinators[1].is_ready(), "two lead");
    stage.coordinator().kill();
    let leader = stage.coordinators.remove(1);
    stage.coordinators.insert(0, leader);
    stage.coordinator().wait_until_ready();
    assert!(store::verdict(&stage.output(), DATES[0], 1).is_none(), "it came too late to help");
    stage.ends(DATES[0], 1, "succeeded");
    assert_eq!(stage.kubernetes.list("jobs", NAMESPACE).len(), 1);
    let lease = stage.kubernetes.get("leases", NAMESPACE, "nightshift-coordinator").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1, "{lease}");
    stage.is_sound(1);
}

#[test]
fn a_job_that_is_deleted_ends_its_run() {
    let mut stage = Stage::start(&twenty());
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 2);
    stage.kubernetes.kubectl(&["delete", "job", &run]).expect(0);
    let verdict = stage.ends(DATES[0], 1, "partial");
    assert_eq!(verdict["quarantined"][0]["class"], "cancelled", "{verdict}");
    stage.wait_until_why_says(&run, &["its Job was deleted in the cluster"]);
    wait_for("nothing is left of it", || {
        let left = ["jobs", "pods", "configmaps"];
        let left = left.iter().map(|plural| stage.kubernetes.list(plural, NAMESPACE).len());
        (left.sum::<usize>() == 0).then_some(())
    });
    stage.operator(&["retry", &run]).run().expect(0);
    stage.ends(DATES[0], 2, "succeeded");
    stage.is_sound(2);
}

#[test]
fn a_job_that_is_deleted_while_no_coordinator_looks_is_made_again() {
    let mut stage = Stage::start(&twenty());
    let run = stage.submit(&DATES[..1]).remove(0);
    stage.wait_for_records(&run, 2);
    let job = object::uid(&stage.job(&run).unwrap()).to_owned();
    stage.coordinator().kill();
    stage.kubernetes.kubectl(&["delete", "job", &run]).expect(0);
    stage.coordinator().restart();
    stage.wait_for_job(&run, |again| object::uid(again) != job);
    stage.ends(DATES[0], 1, "succeeded");
    stage.is_sound(1);
}

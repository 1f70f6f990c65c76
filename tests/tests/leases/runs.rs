//! Runs whose coordinator dies, that are cancelled, retried or stopped by a fault of their own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nightshift_proto::wire::{
    CancelRequest, Failed, FailureClass, GetRequest, LeaseState, ReportRequest, RetryRequest,
    RunState, report_request::Outcome,
};
use nightshift_tests::cluster::Cluster;
use nightshift_tests::grpc::{scoring, shards, wish};
use nightshift_tests::place::Place;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;
use rustix::process::Signal;

use crate::{FOREVER, LARGE, RUN, SMALL, add_scoring, succeeds, under_way};

/// An attempt that nobody made.
const ATTEMPT: &str = "01M84SFFT7KEZSEZRF0DGT3MCA";

fn a_coordinator_that_was_killed_goes_on_where_it_was(place: &Place) {
    const SHARDS: u64 = 40;
    let mut cluster = under_way(place, SHARDS, SMALL, Duration::from_secs(1));
    let speed = place.size("200", "80");
    for _ in 0..2 {
        cluster.add(cluster.worker().args(["--max-rows-per-second", speed]));
    }
    cluster.wait_for_records(RUN, 10);
    cluster.coordinator().kill();
    let decided = store::recorded(&cluster.output(), RUN);
    let epoch = store::epoch(&cluster.output(), RUN);
    assert!(decided.len() < SHARDS as usize, "the run was over before the kill");
    let restarted = Instant::now();
    cluster.coordinator().restart();
    cluster.coordinator().wait_until_ready();
    eprintln!("ready {:.2?} after the restart", restarted.elapsed());
    succeeds(&mut cluster, SHARDS);
    assert!(store::epoch(&cluster.output(), RUN) > epoch);
    for granted in cluster.events("lease granted") {
        let later = granted.epoch() > epoch;
        assert!(!later || !decided.contains(&granted.shard), "{granted:?} was done before");
    }
    let again = cluster.started_again(RUN);
    let again: Vec<_> = decided.intersection(&again).collect();
    assert!(again.is_empty(), "{again:?} had a record and were computed again");
}

fn a_shard_that_is_being_scored_when_the_coordinator_dies_is_adopted(place: &Place) {
    let mut cluster = under_way(place, 1, LARGE, FOREVER);
    add_scoring(&mut cluster);
    cluster.coordinator().kill();
    assert!(store::recorded(&cluster.output(), RUN).is_empty());
    cluster.coordinator().restart();
    succeeds(&mut cluster, 1);
    let said = cluster.logs().join("\n");
    let started = cluster.started(RUN)[&0];
    assert_eq!(started, 1, "{said}\n-- coordinator\n{}", cluster.coordinator().said());
}

#[test]
fn a_coordinator_told_to_end_does_and_the_next_goes_on() {
    let mut cluster = under_way(&Place::Volume, 1, LARGE, FOREVER);
    let worker = add_scoring(&mut cluster);
    cluster.coordinator().terminate().expect(0);
    assert!(!cluster.workers()[worker].has_ended(), "the worker ended with its coordinator");
    cluster.coordinator().restart();
    succeeds(&mut cluster, 1);
    assert_eq!(cluster.started(RUN)[&0], 1);
}

fn two_coordinators_over_one_run_make_one_result(place: &Place) {
    const SHARDS: u64 = 30;
    let mut cluster = under_way(place, SHARDS, SMALL, Duration::from_secs(1));
    let slow = ["--max-rows-per-second", "200"];
    cluster.add(cluster.worker().args(slow));
    cluster.wait_for_records(RUN, 3);
    let second = cluster.add_coordinator();
    cluster.add(cluster.worker_of(second).args(slow));
    succeeds(&mut cluster, SHARDS);
    assert_eq!(store::finals(&cluster.output(), "all"), 1);
    for position in 0..2 {
        let client = cluster.coordinators()[position].client();
        let state = wait_for("both know the verdict", || {
            let get = GetRequest { run: RUN.to_owned(), shard: None, open_shards_max: 0 };
            let run = client.wait(client.runs().get(get)).unwrap().into_inner().run.unwrap();
            (run.state() >= RunState::Succeeded).then(|| run.state())
        });
        assert_eq!(state, RunState::Succeeded);
    }
}

fn fail(cluster: &mut Cluster, class: FailureClass, batch_size: u32) {
    let client = cluster.coordinator().client();
    let grants = client.acquire(wish("reporter", "r1", 1)).unwrap().grants;
    let failed = Failed {
        class: class.into(),
        reason: "columns_missing".to_owned(),
        message: "the model needs a column that the input lacks".to_owned(),
    };
    let report = ReportRequest {
        worker_id: "reporter".to_owned(),
        lease: grants[0].lease.clone(),
        attempt: ATTEMPT.to_owned(),
        outcome: Some(Outcome::Failed(failed)),
        batch_size,
    };
    client.report(report).unwrap();
}

fn a_fault_of_the_configuration_ends_the_run_at_once(place: &Place) {
    let mut cluster = under_way(place, 10, SMALL, FOREVER);
    fail(&mut cluster, FailureClass::Config, 0);
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "failed", "{verdict}");
    assert_eq!(verdict["totals"]["quarantined"], 10, "{verdict}");
    assert!(verdict.to_string().contains("columns_missing"), "{verdict}");
    cluster.auditor().runs(1).passes();
}

fn bad_rows_cost_their_own_shard_only(place: &Place) {
    let mut cluster = under_way(place, 10, SMALL, FOREVER);
    fail(&mut cluster, FailureClass::Data, 0);
    cluster.add(cluster.worker());
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "partial", "{verdict}");
    assert_eq!(verdict["totals"]["quarantined"], 1, "{verdict}");
    cluster.auditor().runs(1).passes();
}

#[test]
fn what_an_attempt_learned_is_told_to_the_next() {
    let mut cluster = under_way(&Place::Volume, 10, SMALL, FOREVER);
    let client = cluster.coordinator().client();
    assert_eq!(client.acquire(wish("first", "r", 1)).unwrap().grants[0].batch_size, 0);
    fail(&mut cluster, FailureClass::Transient, 64);
    assert_eq!(client.acquire(wish("next", "r", 1)).unwrap().grants[0].batch_size, 64);
}

fn a_cancelled_run_ends_and_a_retry_takes_over_what_it_has(place: &Place) {
    const SHARDS: u64 = 40;
    let mut cluster = under_way(place, SHARDS, SMALL, FOREVER);
    let worker = cluster.add(cluster.worker().args(["--max-rows-per-second", "200"]));
    cluster.wait_for_records(RUN, 5);
    let client = cluster.coordinator().client();
    let cancel = CancelRequest {
        run: RUN.to_owned(),
        reason: "wrong model".to_owned(),
        requested_by: "tests".to_owned(),
    };
    client.wait(client.runs().cancel(cancel)).unwrap();
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "partial", "{verdict}");
    assert!(verdict.to_string().contains("wrong model"), "{verdict}");
    cluster.auditor().runs(1).passes();
    let committed = verdict["totals"]["committed"].as_u64().unwrap();
    assert!((5..SHARDS).contains(&committed));

    let retry = RetryRequest {
        request_id: "again".to_owned(),
        run: RUN.to_owned(),
        requested_by: "tests".to_owned(),
    };
    let response = client.wait(client.runs().retry(retry.clone())).unwrap().into_inner();
    assert_eq!(response.run.unwrap().run, "flights-all-g2");
    // The same request again starts nothing new.
    let repeated = client.wait(client.runs().retry(retry)).unwrap().into_inner();
    assert_eq!(repeated.run.unwrap().run, "flights-all-g2");
    let verdict = cluster.wait_for_final("all", 2);
    assert_eq!(verdict["state"], "succeeded", "{verdict}");
    assert_eq!(verdict["totals"]["inherited"], committed, "{verdict}");
    let computed: BTreeSet<u32> = cluster.started("flights-all-g2").into_keys().collect();
    assert_eq!(computed.len() as u64, SHARDS - committed);
    cluster.wait_for_marker("all", 2);
    cluster.auditor().runs(2).passes();
    // The same worker did both, and is still there for more.
    assert!(!cluster.workers()[worker].has_ended());
    cluster.workers()[worker].signal(Signal::TERM);
    cluster.take(worker).finish().expect(75);
}

#[test]
fn a_lease_that_is_given_back_is_free_and_a_repeated_wish_gets_the_same() {
    let mut cluster = under_way(&Place::Volume, 10, SMALL, FOREVER);
    let client = cluster.coordinator().client();
    let first = client.acquire(wish("worker", "r1", 3)).unwrap().grants;
    assert_eq!(shards(&first).len(), 3);
    let repeated = client.acquire(wish("worker", "r1", 3)).unwrap().grants;
    assert_eq!(repeated, first);
    let others = client.acquire(wish("other", "r1", 64)).unwrap().grants;
    assert_eq!(others.len(), 7);
    assert!(shards(&others).iter().all(|shard| !shards(&first).contains(shard)));
    let held = first.iter().map(|grant| grant.lease.clone().unwrap());
    let answers = client.heartbeat(scoring("worker", held)).unwrap().answers;
    assert!(answers.iter().all(|answer| answer.state() == LeaseState::Ok));
    // Another worker cannot renew what it does not hold.
    let stolen = first.iter().map(|grant| grant.lease.clone().unwrap());
    let answers = client.heartbeat(scoring("thief", stolen)).unwrap().answers;
    assert!(answers.iter().all(|answer| answer.state() != LeaseState::Ok));
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    a_coordinator_that_was_killed_goes_on_where_it_was,
    a_shard_that_is_being_scored_when_the_coordinator_dies_is_adopted,
    two_coordinators_over_one_run_make_one_result,
    a_fault_of_the_configuration_ends_the_run_at_once,
    bad_rows_cost_their_own_shard_only,
    a_cancelled_run_ends_and_a_retry_takes_over_what_it_has,
}

nightshift_tests::through_faults! {
    a_coordinator_that_was_killed_goes_on_where_it_was,
    two_coordinators_over_one_run_make_one_result,
    a_cancelled_run_ends_and_a_retry_takes_over_what_it_has,
}

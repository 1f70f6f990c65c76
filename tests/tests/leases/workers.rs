//! Workers that die, stop, are told to go, or come too early.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::place::Place;
use nightshift_tests::{log, store};
use rustix::process::Signal;

use crate::{FOREVER, LARGE, SMALL, add_scoring, succeeds, under_way, wait_until_said};

fn the_shard_of_a_killed_worker_is_leased_again(place: &Place) {
    let ttl = Duration::from_secs(2);
    let mut cluster = under_way(place, 1, LARGE, ttl);
    let victim = add_scoring(&mut cluster);
    let other = cluster.add(cluster.worker());
    let killed = Instant::now();
    cluster.kill_worker(victim);
    assert_eq!(other, 1, "the other worker has moved to the place of the victim");
    wait_until_said(&mut cluster.workers()[0], "lease granted", 1);
    let elapsed = killed.elapsed();
    eprintln!("leased again {elapsed:.2?} after the kill; the lease lasts {ttl:?}");
    assert!(elapsed < 10 * ttl, "the shard of a killed worker was free only after {elapsed:?}");
    succeeds(&mut cluster, 1);
}

fn a_worker_told_to_go_gives_its_shards_back_at_once(place: &Place) {
    // Only a release can free the shard: its lease outlives the test.
    let mut cluster = under_way(place, 1, LARGE, FOREVER);
    let victim = add_scoring(&mut cluster);
    cluster.add(cluster.worker());
    let told = Instant::now();
    let mut leaving = cluster.take(victim);
    leaving.signal(Signal::TERM);
    wait_until_said(&mut cluster.workers()[0], "lease granted", 1);
    eprintln!("leased again {:.2?} after SIGTERM", told.elapsed());
    let left = leaving.finish().expect(75);
    assert_eq!(log::committed(&left.stderr).len(), 0, "{left}");
    cluster.keep(left);
    succeeds(&mut cluster, 1);
}

fn a_worker_that_was_stopped_finishes_without_doing_harm(place: &Place) {
    let ttl = Duration::from_secs(1);
    let mut cluster = under_way(place, 1, LARGE, ttl);
    let stopped = add_scoring(&mut cluster);
    let mut stopped = cluster.take(stopped);
    stopped.signal(Signal::STOP);
    cluster.add(cluster.worker());
    cluster.wait_for_final("all", 1);
    let before = cluster.bench().contents();
    stopped.signal(Signal::CONT);
    // It notices that it has lost the lease, or that the shard has a record already.
    stopped.wait_until_said("that the shard is another's", |said| {
        log::count(said, "lease revoked") > 0
            || log::events(said, "shard committed").iter().any(|event| !event.won)
    });
    stopped.signal(Signal::TERM);
    let ended = stopped.finish();
    cluster.keep(ended);
    succeeds(&mut cluster, 1);
    let visible = |contents: &nightshift_tests::bench::Contents| {
        let all = cluster.output().join("all");
        // A name with `#` is temporary: `_SUCCESS` is being made just after the final.
        let lasting = |path: &std::path::Path| !path.to_string_lossy().contains('#');
        let visible = contents.iter().filter(|(path, _)| path.starts_with(&all) && lasting(path));
        visible.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Vec<_>>()
    };
    let after = cluster.bench().contents();
    assert!(visible(&before).iter().all(|file| visible(&after).contains(file)));
}

#[test]
fn an_idle_worker_ends_only_if_it_is_told_to() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 10 * SMALL);
    let mut cluster = Cluster::start(bench, Setting::default());
    // There is no run at all.
    cluster.worker().arg("--exit-when-idle").run().expect(0);
    cluster.submit("all");
    let staying = cluster.add(cluster.worker());
    let done = cluster.worker().arg("--exit-when-idle").run().expect(0);
    cluster.wait_for_final("all", 1);
    cluster.keep(done);
    let mut staying = cluster.take(staying);
    assert!(!staying.has_ended());
    staying.signal(Signal::TERM);
    staying.finish().expect(75);
}

#[test]
fn a_worker_that_comes_before_the_coordinator_waits_for_it() {
    // A coordinator that starts waits one lease for workers that hold one.
    let mut cluster = under_way(&Place::Volume, 4, SMALL, Duration::from_secs(1));
    cluster.coordinator().kill();
    let early = cluster.add(cluster.worker());
    // It has tried in vain once it has said so.
    cluster.workers()[early].wait_until_said("a try", |said| !said.is_empty());
    cluster.coordinator().restart();
    let verdict = cluster.wait_for_final("all", 1);
    assert_eq!(verdict["state"], "succeeded");
}

fn the_last_shard_of_a_slow_worker_is_tried_by_another_too(place: &Place) {
    const SHARDS: u64 = 6;
    let mut cluster = under_way(place, SHARDS, LARGE, FOREVER);
    // Its lease never ends, so only a backup lease lets the run end early.
    let slow = cluster.add(cluster.worker().args(["--max-rows-per-second", "20"]));
    wait_until_said(&mut cluster.workers()[slow], "inference started", 1);
    cluster.add(cluster.worker());
    succeeds(&mut cluster, SHARDS);
    let started = cluster.started(crate::RUN);
    assert!(started.values().any(|&times| times == 2), "no shard was tried twice: {started:?}");
    assert_eq!(store::finals(&cluster.output(), "all"), 1);
}

fn two_workers_share_the_work_of_one_run(place: &Place) {
    const SHARDS: u64 = 40;
    let mut cluster = under_way(place, SHARDS, SMALL, FOREVER);
    let slow = ["--max-rows-per-second", "400"];
    for _ in 0..2 {
        cluster.add(cluster.worker().args(slow));
    }
    succeeds(&mut cluster, SHARDS);
    for said in cluster.logs() {
        let done = log::committed(&said).len();
        assert!(done >= 5, "one of two equal workers committed only {done} of {SHARDS} shards");
    }
    assert_eq!(cluster.started_again(crate::RUN), BTreeSet::new());
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    the_shard_of_a_killed_worker_is_leased_again,
    a_worker_told_to_go_gives_its_shards_back_at_once,
    a_worker_that_was_stopped_finishes_without_doing_harm,
    the_last_shard_of_a_slow_worker_is_tried_by_another_too,
    two_workers_share_the_work_of_one_run,
}

nightshift_tests::through_faults! {
    the_shard_of_a_killed_worker_is_leased_again,
    two_workers_share_the_work_of_one_run,
}

//! Coordinators that are not there: replaced, silent, never started.

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_proto::leases::Phase;
use nightshift_worker::source::remote::Ending;
use tonic::Status;

use crate::calls::Method;
use crate::coordinator::{Coordinator, STEADY, Times};
use crate::prepared::Prepared;
use crate::serving::Serving;
use crate::worker::Worker;

#[test]
fn a_new_coordinator_adopts_the_leases_of_the_one_before() {
    let prepared = Prepared::new(50);
    let mut old = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let mut worker = Worker::of(&old.url()).slow(200);
    worker.settings.threads = 2;
    let worker = worker.start(&prepared.runtime);
    old.coordinator.wait("a commit", |calls| calls.committed().first().copied());
    old.kill();
    // Adoption lasts one TTL, in which nothing is granted, so this one has to be short.
    let times = Times { ttl_ms: 1_000, interval_ms: 20 };
    let coordinator = Coordinator::new(&prepared, 2, times);
    let new = Serving::start_at(coordinator, old.address);
    let (_, tally) = worker.finish();
    assert_eq!(tally.shards, 17, "this worker committed every shard, each once");
    prepared.expect_complete();
    new.coordinator.calls(|calls| {
        let adopted = calls.heartbeats().flat_map(|heartbeat| &heartbeat.leases);
        let adopted: BTreeSet<u32> =
            adopted.filter(|one| one.lease.token.epoch == 1).map(|one| one.lease.shard.0).collect();
        assert!(!adopted.is_empty(), "leases of the first epoch were named to the second");
        let granted: BTreeSet<u32> = calls.granted().into_iter().collect();
        assert!(granted.is_disjoint(&adopted), "{granted:?} {adopted:?}");
    });
}

#[test]
fn work_goes_on_without_a_coordinator_and_reports_wait_for_it() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    // Four shards at once, so that there is something to go on with.
    let mut worker = Worker::of(&serving.url()).slow(100);
    worker.settings.threads = 4;
    let worker = worker.start(&prepared.runtime);
    let scoring = serving.coordinator.wait("four attempts", |calls| {
        let beat = calls.heartbeats().last()?;
        let scoring = beat.leases.iter().filter(|one| one.phase == Phase::Scoring);
        let scoring: Vec<_> = scoring.map(|one| one.lease.shard).collect();
        (scoring.len() == 4).then_some(scoring)
    });
    serving.coordinator.pull(|levers| levers.refuse = Some(Status::unavailable("away")));
    prepared.wait_decided("the four shards", |decided| scoring.iter().all(|s| decided.contains(s)));
    let reported = |shard: u32| serving.coordinator.calls(|c| c.committed().contains(&shard));
    assert!(!scoring.iter().any(|shard| reported(shard.0)), "nobody was there to be told");
    serving.coordinator.pull(|levers| levers.refuse = None);
    let (_, tally) = worker.finish();
    assert_eq!(tally.shards, 17);
    assert!(scoring.iter().all(|shard| reported(shard.0)));
}

#[test]
fn heartbeats_that_fail_stop_nothing() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let broken = Status::invalid_argument("a heartbeat that nobody understands");
    serving.coordinator.pull(|levers| levers.refuse_only = Some((Method::Heartbeat, broken)));
    let (_, tally) = Worker::of(&serving.url()).slow(2_000).start(&prepared.runtime).finish();
    assert_eq!(tally.shards, 17);
    prepared.expect_complete();
}

#[test]
fn a_coordinator_that_stays_away_is_given_up() {
    let prepared = Prepared::new(10);
    let mut serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let mut worker = Worker::of(&serving.url()).slow(100);
    worker.settings.give_up_after = Duration::from_secs(1);
    let worker = worker.start(&prepared.runtime);
    serving.coordinator.wait("a commit", |calls| calls.committed().first().copied());
    serving.kill();
    let (ending, tally) = worker.finish();
    assert!(matches!(ending, Ending::Unavailable { .. }), "{ending:?}");
    assert_eq!(ending.exit().code(), 69);
    // What was begun to be committed was settled, though nobody could be told.
    assert_eq!(prepared.decided().len() as u64, tally.shards);
}

#[test]
fn an_address_where_nobody_listens_is_given_up() {
    let prepared = Prepared::new(400);
    let mut serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.kill();
    let mut worker = Worker::of(&serving.url());
    worker.settings.give_up_after = Duration::from_secs(1);
    let (ending, tally) = worker.start(&prepared.runtime).finish();
    assert!(matches!(ending, Ending::Unavailable { .. }), "{ending:?}");
    assert_eq!(tally.shards, 0);
}

#[test]
fn a_signal_ends_a_worker_without_a_coordinator() {
    let prepared = Prepared::new(400);
    let mut serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.kill();
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    worker.drain.request();
    assert_eq!(worker.finish().0, Ending::Drained);
}

//! What a coordinator takes away, and what it tells a worker to do.

use nightshift_proto::leases::{Directive, Phase};
use nightshift_worker::source::remote::Ending;

use crate::calls::Method;
use crate::coordinator::{Coordinator, STEADY};
use crate::prepared::Prepared;
use crate::serving::Serving;
use crate::worker::Worker;

#[test]
fn a_revoked_attempt_stops_and_nothing_is_reported_about_it() {
    let prepared = Prepared::new(300);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.coordinator.pull(|levers| {
        levers.revoke.insert(0);
    });
    // At this pace the attempt would take 300 s; only its being revoked ends it.
    let worker = Worker::of(&serving.url()).slow(1).start(&prepared.runtime);
    serving.coordinator.wait("the lease of shard 0 not to be named any more", |calls| {
        let named = |shard| {
            move |heartbeat: &&nightshift_proto::leases::heartbeat::Heartbeat| {
                heartbeat.leases.iter().any(|one| one.lease.shard.0 == shard)
            }
        };
        calls.heartbeats().find(named(0))?;
        calls.heartbeats().last().filter(|last| !named(0)(last)).map(|_| ())
    });
    // Its thread is free for the next shard.
    serving.coordinator.wait("shard 1 to be scored", |calls| {
        let progress = calls.heartbeats().flat_map(|heartbeat| &heartbeat.leases);
        let scoring = |shard: u32, phase| shard == 1 && phase == Phase::Scoring;
        progress.filter(|one| scoring(one.lease.shard.0, one.phase)).count().checked_sub(1)
    });
    worker.drain.request();
    worker.finish();
    serving.coordinator.calls(|calls| {
        assert_eq!(calls.reports().count(), 0);
        let released: Vec<u32> =
            calls.releases().flat_map(|release| &release.leases).map(|id| id.shard.0).collect();
        assert!(!released.contains(&0), "what was taken away is not given back: {released:?}");
    });
    assert!(prepared.record(0).is_none());
}

#[test]
fn drain_finishes_what_is_leased_and_comes_back_another_time() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let worker = Worker::of(&serving.url()).slow(500).start(&prepared.runtime);
    serving.coordinator.wait("a commit", |calls| calls.committed().first().copied());
    serving.coordinator.pull(|levers| levers.directive = Some(Directive::Drain));
    let (ending, tally) = worker.finish();
    assert_eq!(ending, Ending::Drained);
    assert_eq!(ending.exit().code(), 75);
    assert!(tally.shards < 17, "{tally:?}");
    serving.coordinator.calls(|calls| {
        let mut granted = calls.granted();
        granted.sort_unstable();
        let mut committed = calls.committed();
        committed.sort_unstable();
        assert_eq!(granted, committed, "every lease was scored, none given back");
    });
    assert_eq!(serving.coordinator.leased(), 0);
}

#[test]
fn retire_finishes_what_is_leased_and_ends_well() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let mut worker = Worker::of(&serving.url()).slow(500);
    worker.settings.exit_when_idle = false;
    let worker = worker.start(&prepared.runtime);
    serving.coordinator.wait("a commit", |calls| calls.committed().first().copied());
    serving.coordinator.pull(|levers| levers.directive = Some(Directive::Retire));
    let (ending, tally) = worker.finish();
    assert_eq!((&ending, ending.exit().code()), (&Ending::Retired, 0));
    assert!(tally.shards < 17, "{tally:?}");
    assert_eq!(serving.coordinator.leased(), 0);
}

#[test]
fn a_signal_gives_back_what_is_not_committing() {
    let prepared = Prepared::new(10);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let mut worker = Worker::of(&serving.url()).slow(20);
    worker.settings.threads = 2;
    let worker = worker.start(&prepared.runtime);
    serving.coordinator.wait("a commit", |calls| calls.committed().first().copied());
    worker.drain.request();
    let (ending, tally) = worker.finish();
    assert_eq!(ending, Ending::Drained);
    assert_eq!(serving.coordinator.leased(), 0, "every lease was reported or given back");
    serving.coordinator.calls(|calls| {
        let committed = calls.committed();
        assert_eq!(committed.len() as u64, tally.shards);
        let released = calls.releases().filter(|release| release.leaving);
        let released: Vec<u32> =
            released.flat_map(|release| &release.leases).map(|id| id.shard.0).collect();
        assert!(!released.is_empty());
        assert!(released.iter().all(|shard| !committed.contains(shard)), "{released:?}");
    });
    let decided = prepared.decided().len() as u64;
    assert_eq!(decided, tally.shards, "what was given back was not committed");
}

#[test]
fn a_release_that_is_lost_is_sent_again() {
    let prepared = Prepared::new(300);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let worker = Worker::of(&serving.url()).slow(1).start(&prepared.runtime);
    serving.coordinator.wait("an attempt", |calls| {
        let mut progress = calls.heartbeats().flat_map(|heartbeat| &heartbeat.leases);
        progress.find(|one| one.phase == Phase::Scoring).map(|_| ())
    });
    serving.coordinator.pull(|levers| levers.lose.push_back(Method::Release));
    worker.drain.request();
    worker.finish();
    serving.coordinator.calls(|calls| {
        let mut releases = calls.releases().map(|release| &release.leases);
        let (first, second) = (releases.next().unwrap(), releases.next().unwrap());
        assert!(!first.is_empty());
        assert_eq!(first, second);
    });
}

//! A run from the first lease to the last report.

use std::collections::BTreeSet;

use nightshift_proto::leases::Phase;
use nightshift_proto::names::BatchSize;
use nightshift_worker::source::remote::Ending;

use crate::calls::Method;
use crate::coordinator::{Coordinator, STEADY};
use crate::prepared::Prepared;
use crate::serving::Serving;
use crate::worker::Worker;

#[test]
fn a_run_is_scored_to_its_end_and_every_shard_reported_once() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    let (ending, tally) = worker.finish();
    // The table retires a worker when nothing is left, which may be seen before the list is.
    assert!(matches!(ending, Ending::Idle | Ending::Retired), "{ending:?}");
    assert_eq!((tally.shards, tally.rows), (17, 842));
    prepared.expect_complete();
    serving.coordinator.calls(|calls| {
        let mut committed = calls.committed();
        committed.sort_unstable();
        assert_eq!(committed, (0..17).collect::<Vec<_>>());
        assert!(calls.releases().any(|release| release.leaving), "says goodbye");
    });
    assert_eq!(serving.coordinator.leased(), 0);
}

#[test]
fn threads_and_workers_share_a_run() {
    let prepared = Prepared::new(10);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let mut worker = Worker::of(&serving.url());
            worker.settings.threads = 2;
            worker.start(&prepared.runtime)
        })
        .collect();
    let shards: u64 = workers.into_iter().map(|worker| worker.finish().1.shards).sum();
    assert_eq!(shards, 85, "each shard was committed by one worker");
    prepared.expect_complete();
}

#[test]
fn lost_answers_lose_nothing_and_double_nothing() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.coordinator.pull(|levers| {
        let all = [Method::Acquire, Method::Report, Method::Heartbeat, Method::Acquire];
        levers.lose.extend(all);
    });
    let worker = Worker::of(&serving.url()).slow(2_000).start(&prepared.runtime);
    let (_, tally) = worker.finish();
    assert_eq!(tally.shards, 17);
    prepared.expect_complete();
    serving.coordinator.calls(|calls| {
        let acquires: Vec<_> = calls.acquires().collect();
        let (first, second) = (acquires[0], acquires[1]);
        assert_eq!(first, second, "the same request, and the same leases");
        let granted: BTreeSet<_> = calls.acquires().flat_map(|(_, granted)| granted).collect();
        assert_eq!(granted.len(), 17, "no shard was granted twice");
        let committed = calls.committed();
        let distinct: BTreeSet<_> = committed.iter().collect();
        assert_eq!((committed.len(), distinct.len()), (18, 17), "the lost report was repeated");
    });
}

#[test]
fn heartbeats_say_how_far_each_lease_has_come() {
    let prepared = Prepared::new(400);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let batch = BatchSize::new(40).unwrap();
    serving.coordinator.pull(|levers| levers.batch_size = Some(batch));
    let worker = Worker::of(&serving.url()).slow(400).start(&prepared.runtime);
    // Batches of 40 rows, as the grant says, each of which the pace makes last 100 ms.
    let seen = serving.coordinator.wait("several batches of one attempt", |calls| {
        let progress = calls.heartbeats().flat_map(|heartbeat| &heartbeat.leases);
        let scoring = progress.filter(|one| one.phase == Phase::Scoring && one.rows_done > 0);
        let rows: BTreeSet<u64> =
            scoring.filter(|one| one.lease.shard.0 == 0).map(|one| one.rows_done).collect();
        (rows.len() >= 3).then_some(rows)
    });
    assert!(seen.iter().all(|rows| rows % 40 == 0), "{seen:?}");
    worker.drain.request();
    worker.finish();
}

#[test]
fn a_shard_that_another_attempt_has_decided_is_reported_as_lost() {
    let prepared = Prepared::new(400);
    let first = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    // This coordinator has seen no record when the run is scored for the first time…
    let late = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    Worker::of(&first.url()).start(&prepared.runtime).finish();
    // …and hands out all shards again.
    let (_, tally) = Worker::of(&late.url()).start(&prepared.runtime).finish();
    assert_eq!((tally.shards, tally.lost), (0, 3));
    late.coordinator.calls(|calls| {
        for report in calls.reports() {
            let record = prepared.record(report.lease.shard.0).unwrap();
            let winner = record.attempt;
            assert_eq!(report.outcome, nightshift_proto::leases::report::Outcome::Lost { winner });
        }
        assert_eq!(calls.reports().count(), 3);
    });
}

#[test]
fn heartbeats_go_on_while_every_core_is_busy() {
    let prepared = Prepared::new(10);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let busy = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while busy.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let worker = Worker::of(&serving.url()).slow(50).start(&prepared.runtime);
        serving.coordinator.wait("heartbeats while shards are scored", |calls| {
            let scoring = |one: &&nightshift_proto::leases::heartbeat::Heartbeat| {
                one.leases.iter().any(|lease| lease.phase == Phase::Scoring)
            };
            (calls.heartbeats().filter(scoring).count() >= 20).then_some(())
        });
        worker.drain.request();
        let (_, tally) = worker.finish();
        busy.store(false, std::sync::atomic::Ordering::Relaxed);
        assert!(!tally.heartbeat_gap_max.is_zero(), "gaps are measured");
    });
}

//! Attempts that fail, and calls that are refused.

use nightshift_core::ids::Digest;
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::report::{Failure, Outcome};
use nightshift_worker::source::remote::Ending;
use tonic::Status;

use crate::calls::Method;
use crate::coordinator::{Coordinator, STEADY};
use crate::prepared::Prepared;
use crate::serving::Serving;
use crate::worker::Worker;

/// The first failure that a worker reports.
fn first_failure(serving: &Serving) -> Failure {
    serving.coordinator.wait("a failure", |calls| {
        calls.reports().find_map(|report| match &report.outcome {
            Outcome::Failed(failure) => Some(failure.clone()),
            _ => None,
        })
    })
}

#[test]
fn a_record_that_the_coordinator_does_not_see_is_settled_again() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.coordinator.pull(|levers| levers.blind.extend([3, 5]));
    let (_, tally) = Worker::of(&serving.url()).start(&prepared.runtime).finish();
    assert_eq!(tally.shards, 17);
    prepared.expect_complete();
    serving.coordinator.calls(|calls| {
        for shard in [3, 5] {
            let reports = calls.reports().filter(|report| report.lease.shard.0 == shard);
            let record = prepared.record(shard).unwrap();
            let attempts: Vec<_> = reports.map(|report| report.attempt.clone()).collect();
            assert_eq!(attempts, [record.attempt.clone(), record.attempt]);
        }
    });
}

#[test]
fn a_record_that_is_gone_is_created_again() {
    let prepared = Prepared::new(400);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let broken = Status::unavailable("not yet");
    serving.coordinator.pull(|levers| levers.refuse_only = Some((Method::Report, broken)));
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    prepared.wait_decided("three records", |decided| decided.len() == 3);
    // A store that forgets what it has acknowledged: no promise covers it, and yet.
    let before = prepared.record(1).unwrap();
    let object = nightshift_core::layout::Object::Record {
        run: prepared.run().clone(),
        shard: nightshift_core::ids::ShardIndex(1),
    };
    std::fs::remove_file(prepared.root.path_of(&object)).unwrap();
    serving.coordinator.pull(|levers| levers.refuse_only = None);
    worker.finish();
    assert_eq!(prepared.record(1), Some(before), "the same bytes");
    prepared.expect_complete();
}

#[test]
fn a_model_that_only_this_host_misses_stops_nobody_else() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let model = prepared.folder.path().join("model");
    let elsewhere = prepared.folder.path().join("elsewhere");
    std::fs::rename(&model, &elsewhere).unwrap();
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    let failure = first_failure(&serving);
    assert_eq!(failure.class, FailureClass::Transient);
    assert_eq!(failure.reason.as_str(), "model_unreadable");
    // It is mounted at last, and everything is scored.
    std::fs::rename(&elsewhere, &model).unwrap();
    let (_, tally) = worker.finish();
    assert_eq!(tally.shards, 17);
    assert_eq!(serving.coordinator.stopped(), None);
    assert_eq!(serving.coordinator.quarantined().len(), 0);
    // A worker that fails at once must not run through the whole queue meanwhile.
    assert!(tally.failed < 17, "{tally:?}");
    prepared.expect_complete();
}

#[test]
fn another_model_is_not_used() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let config = prepared.folder.path().join("model/config.json");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push('\n');
    std::fs::write(&config, text).unwrap();
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    let failure = first_failure(&serving);
    assert_eq!(failure.class, FailureClass::Transient);
    assert_eq!(failure.reason.as_str(), "model_changed");
    worker.drain.request();
    assert_eq!(worker.finish().1.shards, 0);
}

#[test]
fn another_plan_is_not_worked_from() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.coordinator.pull(|levers| levers.plan_sha256 = Some(Digest([7; 32])));
    let worker = Worker::of(&serving.url()).start(&prepared.runtime);
    let failure = first_failure(&serving);
    assert_eq!(failure.class, FailureClass::Transient);
    assert_eq!(failure.reason.as_str(), "plan_differs");
    worker.drain.request();
    assert_eq!(worker.finish().1.shards, 0);
    assert_eq!(prepared.decided().len(), 0);
}

#[test]
fn what_a_coordinator_refuses_for_good_ends_the_worker() {
    for (method, status, code) in [
        (Method::Acquire, Status::unimplemented("no such service"), 78),
        (Method::Acquire, Status::invalid_argument("no such field"), 70),
        (Method::Acquire, Status::not_found("no such run"), 66),
        (Method::Acquire, Status::permission_denied("not you"), 77),
        (Method::Report, Status::invalid_argument("no such attempt"), 70),
    ] {
        let prepared = Prepared::new(400);
        let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
        serving.coordinator.pull(|levers| levers.refuse_only = Some((method, status.clone())));
        let (ending, tally) = Worker::of(&serving.url()).start(&prepared.runtime).finish();
        assert_eq!(ending.exit().code(), code, "{method:?} {status}");
        let Ending::Refused { text, .. } = ending else { panic!("{ending:?}") };
        assert!(text.contains(status.message()), "{text}");
        assert_eq!(prepared.decided().len() as u64, tally.shards, "all commits are settled");
    }
}

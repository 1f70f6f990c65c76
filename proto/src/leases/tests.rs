//! What is refused, and in which words; and that legal messages fit their limits.

use nightshift_core::record::FailureClass;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use super::acquire::{Acquire, Acquired, Grant, InvalidAcquire, InvalidGrant};
use super::heartbeat::{Heartbeat, InvalidHeartbeat, LeaseProgress};
use super::report::{InvalidFailure, InvalidOutcome, InvalidReport, Report};
use super::*;
use crate::arbitrary::Legal;
use crate::field::{InvalidList, InvalidText, UnknownValue};
use crate::limits::*;
use crate::names::BatchSize;
use crate::refusal::invalid_request;

fn legal<T: Legal>() -> T {
    T::legal().new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

fn acquire(change: impl FnOnce(&mut wire::AcquireRequest)) -> Result<Acquire, InvalidAcquire> {
    let mut message = legal::<Acquire>().into();
    change(&mut message);
    message.try_into()
}

fn grant(change: impl FnOnce(&mut wire::Grant)) -> Result<Grant, InvalidGrant> {
    let mut message = legal::<Grant>().into();
    change(&mut message);
    message.try_into()
}

fn report(change: impl FnOnce(&mut wire::ReportRequest)) -> Result<Report, InvalidReport> {
    let mut message = legal::<Report>().into();
    change(&mut message);
    message.try_into()
}

#[test]
fn a_worker_id_of_10_kb_is_refused_in_a_short_line() {
    let error = acquire(|message| message.worker_id = "w".repeat(10_000)).unwrap_err();
    assert_eq!(error.field(), "worker_id");
    let status = invalid_request(&error);
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(
        status.message(),
        "`worker_id` of the acquire request is refused: it has 10000 bytes; at most 128 are allowed"
    );
}

#[test]
fn an_acquire_has_limits() {
    for max in [0, ACQUIRE_MAX + 1, u32::MAX] {
        let error = acquire(|message| message.max = max).unwrap_err();
        let source = OutOfRange { value: max.into(), min: 1, max: 64 };
        assert_eq!(error, InvalidAcquire::Max { source });
    }
    let error = acquire(|message| message.wait_ms = ACQUIRE_WAIT_MAX_MS + 1).unwrap_err();
    assert_eq!(error.field(), "wait_ms");
    let error = acquire(|message| message.run = "flights/../x".into()).unwrap_err();
    assert_eq!(error.field(), "run");
    assert_eq!(acquire(|message| message.run.clear()).unwrap().run, None);
}

#[test]
fn a_grant_keeps_to_its_run_and_its_times() {
    for (ttl_ms, heartbeat_interval_ms, field) in [
        (0, 0, "ttl_ms"),
        (TTL_MAX_MS + 1, 1, "ttl_ms"),
        (30_000, 0, "heartbeat_interval_ms"),
        (30_000, 30_000, "heartbeat_interval_ms"),
        (1, 1, "heartbeat_interval_ms"),
    ] {
        let error = grant(|message| {
            (message.ttl_ms, message.heartbeat_interval_ms) = (ttl_ms, heartbeat_interval_ms);
        });
        assert_eq!(error.unwrap_err().field(), field, "{ttl_ms} {heartbeat_interval_ms}");
    }
    let elsewhere = "_nightshift/v1/runs/other-all-g1/plan.json";
    let error = grant(|message| message.plan_path = elsewhere.into()).unwrap_err();
    assert_eq!(error.field(), "plan_path");
    let error = grant(|message| message.output_root = "/out\n".into()).unwrap_err();
    assert_eq!(error.field(), "output_root");
    let error = grant(|message| message.lease = None).unwrap_err();
    assert_eq!(error, InvalidGrant::Lease { source: InvalidPart::Missing });
}

#[test]
fn a_lease_that_nobody_filled_in_is_refused() {
    let error = LeaseId::try_from(wire::LeaseId::default()).unwrap_err();
    assert_eq!(error.field(), "run");
    let mut message = wire::LeaseId::from(legal::<LeaseId>());
    message.token = Some(wire::Token::default());
    let error = LeaseId::try_from(message.clone()).unwrap_err();
    assert!(matches!(error, InvalidLeaseId::Token { source: InvalidPart::Refused { .. } }));
    message.shard = SHARDS_MAX;
    assert_eq!(LeaseId::try_from(message).unwrap_err().field(), "shard");
}

#[test]
fn a_heartbeat_says_which_lease_is_wrong() {
    let good = wire::LeaseProgress::from(legal::<LeaseProgress>());
    let bad = wire::LeaseProgress { phase: 77, ..good.clone() };
    let message =
        wire::HeartbeatRequest { worker_id: "w".into(), leases: vec![good.clone(), good, bad] };
    let error = Heartbeat::try_from(message).unwrap_err();
    assert_eq!(
        invalid_request(&error).message(),
        "`leases` of the heartbeat request is refused: element 2 is refused: `phase` of the lease's \
         progress is refused: 77 is not one of its values; set one that nightshift.v1 names, other \
         than 0"
    );
}

#[test]
fn a_list_is_measured_before_it_is_read() {
    let leases = vec![wire::LeaseProgress::default(); LEASES_MAX + 1];
    let error =
        Heartbeat::try_from(wire::HeartbeatRequest { worker_id: "w".into(), leases }).unwrap_err();
    let source = InvalidList::TooMany { count: LEASES_MAX + 1, max: LEASES_MAX };
    assert_eq!(error, InvalidHeartbeat::Leases { source });
}

#[test]
fn a_report_has_an_outcome_that_a_worker_can_know() {
    let error = report(|message| message.outcome = None).unwrap_err();
    assert_eq!(error, InvalidReport::Outcome { source: InvalidPart::Missing });
    let failed = |class: i32, reason: &str, message: String| {
        let failed = wire::Failed { class, reason: reason.into(), message };
        report(|report| report.outcome = Some(wire::report_request::Outcome::Failed(failed)))
    };
    let class = wire::FailureClass::from(FailureClass::Data).into();
    assert!(failed(class, "bug", "m".repeat(MESSAGE_MAX_CHARS)).is_ok());
    let unknown = |value| InvalidFailure::Class { source: UnknownValue { value } };
    let long = InvalidText::TooManyChars { max_chars: MESSAGE_MAX_CHARS };
    let unnamed = failed(class, "", String::new()).unwrap_err();
    assert!(unnamed.to_string().contains("`outcome` of the report request"));
    for (outcome, expected) in [
        (failed(0, "bug", String::new()), unknown(0)),
        (failed(-1, "bug", String::new()), unknown(-1)),
        // Cancelled is for people to say.
        (failed(6, "bug", String::new()), unknown(6)),
        (
            failed(class, "bug", "m".repeat(MESSAGE_MAX_CHARS + 1)),
            InvalidFailure::Message { source: long },
        ),
    ] {
        let source = InvalidPart::Refused { source: InvalidOutcome::Failed { source: expected } };
        assert_eq!(outcome, Err(InvalidReport::Outcome { source }));
    }
}

#[test]
fn the_largest_messages_fit() {
    let run = format!("{}-2013-01-31-g{}", "n".repeat(45), u32::MAX).parse().unwrap();
    let token = Token { epoch: u64::MAX, sequence: u64::MAX };
    let lease = LeaseId { run, shard: ShardIndex(SHARDS_MAX - 1), token };
    let worker: crate::names::WorkerName = "w".repeat(ID_MAX_BYTES).parse().unwrap();
    let progress =
        LeaseProgress { lease: lease.clone(), phase: Phase::Scoring, rows_done: u64::MAX };
    let heartbeat = Heartbeat { worker, leases: vec![progress; LEASES_MAX] };
    let bytes = wire::HeartbeatRequest::from(heartbeat.clone()).encoded_len();
    assert!(bytes * 8 <= REQUEST_MAX_BYTES, "{bytes}");
    assert!(heartbeat.leases.len() * 2 < TOP_LEVEL_FIELDS_MAX);

    let grant = Grant {
        lease,
        earlier_attempts: u32::MAX,
        ttl_ms: TTL_MAX_MS,
        heartbeat_interval_ms: TTL_MAX_MS - 1,
        output_root: "r".repeat(PATH_MAX_BYTES),
        batch_size: BatchSize::read(BATCH_SIZE_MAX).unwrap(),
        ..legal()
    };
    let acquired = Acquired {
        grants: vec![grant; ACQUIRE_MAX as usize],
        directive: Directive::Continue,
        retry_after_ms: RETRY_AFTER_MAX_MS,
        notice: "\u{10ffff}".repeat(MESSAGE_MAX_CHARS),
    };
    let message = wire::AcquireResponse::from(acquired);
    assert!(message.encoded_len() <= REPLY_MAX_BYTES, "{}", message.encoded_len());
    assert!(Acquired::try_from(message).is_ok());
}

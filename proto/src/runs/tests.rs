//! What is refused, moments, and that legal replies fit their limit.

use std::collections::BTreeMap;

use nightshift_core::conclusion::{QuarantinedShard, Totals};
use nightshift_core::gates::REASON_MAX_CHARS;
use nightshift_core::plan::SHARDS_MAX;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use super::get::{FoundRun, ShardStatus};
use super::judge::{JudgeRun, Judged, JudgedRun};
use super::list::{ListRuns, RunPage};
use super::start::{InvalidStartRun, StartRun};
use super::status::{InvalidShardCounts, InvalidTotal, RunStatus, ShardCounts};
use super::verdict::{InvalidReasons, InvalidTotals, RunVerdict};
use super::watch::WatchRun;
use super::*;
use crate::arbitrary::Legal;
use crate::field::{InvalidPart, OutOfRange};
use crate::leases::report::Failure;
use crate::limits::*;

fn legal<T: Legal>() -> T {
    T::legal().new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

#[test]
fn a_start_needs_a_spec_of_bearable_length() {
    let start = |spec: Option<wire::SpecSource>| {
        StartRun::try_from(wire::StartRequest { spec, ..legal::<StartRun>().into() })
    };
    let spec = |yaml: String| wire::SpecSource { yaml, ..legal::<SpecSource>().into() };
    assert_eq!(start(None), Err(InvalidStartRun::Spec { source: InvalidPart::Missing }));
    assert!(start(Some(spec("y".repeat(SPEC_MAX_BYTES)))).is_ok());
    let InvalidStartRun::Spec { source: InvalidPart::Refused { source } } =
        start(Some(spec("y".repeat(SPEC_MAX_BYTES + 1)))).unwrap_err()
    else {
        panic!("refused for another reason")
    };
    assert_eq!(source.field(), "yaml");
}

#[test]
fn overrides_are_absolute_short_and_on_one_line() {
    let spec = |overrides| {
        SpecSource::try_from(wire::SpecSource { overrides, ..legal::<SpecSource>().into() })
    };
    assert_eq!(spec(None).unwrap().overrides, SpecOverrides::default());
    let empty = spec(Some(wire::SpecOverrides::default())).unwrap();
    assert_eq!(empty.overrides, SpecOverrides::default());
    assert_eq!(wire::SpecSource::from(empty).overrides, None);

    let longest = format!("/{}", "a".repeat(PATH_MAX_BYTES - 1));
    for (place, ok) in [
        ("/data/date={date}/*.parquet", true),
        ("s3://bucket/data", true),
        ("data", false),
        ("./data", false),
        ("/data\n", false),
        (longest.as_str(), true),
        (&format!("{longest}a"), false),
    ] {
        let named = |field: &str| wire::SpecOverrides {
            input: if field == "input" { place.to_owned() } else { String::new() },
            model: if field == "model" { place.to_owned() } else { String::new() },
            output: if field == "output" { place.to_owned() } else { String::new() },
            model_version: String::new(),
        };
        for field in ["input", "model", "output"] {
            match SpecOverrides::try_from(named(field)) {
                Ok(_) => assert!(ok, "{field} {place:.40}"),
                Err(error) => {
                    assert!(!ok, "{field} {place:.40}");
                    assert_eq!(error.field(), field);
                }
            }
        }
    }
    for (length, ok) in [(1, true), (ID_MAX_BYTES, true), (ID_MAX_BYTES + 1, false)] {
        let model_version = "v".repeat(length);
        let message = wire::SpecOverrides { model_version, ..Default::default() };
        assert_eq!(SpecOverrides::try_from(message).is_ok(), ok, "{length}");
    }
}

#[test]
fn a_partition_is_a_date_or_all() {
    for (partition, ok) in [("2013-01-31", true), ("all", true), ("yesterday", false), ("", false)]
    {
        let message =
            wire::StartRequest { partition: partition.into(), ..legal::<StartRun>().into() };
        assert_eq!(StartRun::try_from(message).is_ok(), ok, "{partition:?}");
    }
}

#[test]
fn pages_and_watches_have_limits() {
    for (page_size, ok) in [(0, false), (1, true), (PAGE_MAX, true), (PAGE_MAX + 1, false)] {
        let message = wire::ListRequest { page_size, ..Default::default() };
        assert_eq!(ListRuns::try_from(message).is_ok(), ok, "{page_size}");
    }
    for (interval_ms, ok) in [(0, false), (100, true), (60_000, true), (u32::MAX, false)] {
        let message = wire::WatchRequest { interval_ms, ..legal::<WatchRun>().into() };
        assert_eq!(WatchRun::try_from(message).is_ok(), ok, "{interval_ms}");
    }
}

#[test]
fn a_decision_has_a_meaning_a_reason_and_a_moment() {
    let reason = |reason: String| {
        JudgeRun::try_from(wire::JudgeRequest { reason, ..legal::<JudgeRun>().into() })
    };
    for (text, ok) in [
        (String::new(), false),
        (" \n".to_owned(), false),
        ("ä".repeat(REASON_MAX_CHARS), true),
        ("ä".repeat(REASON_MAX_CHARS + 1), false),
    ] {
        match reason(text.clone()) {
            Ok(_) => assert!(ok, "{text:.20}"),
            Err(error) => assert!(!ok && error.field() == "reason", "{error}"),
        }
    }
    for judgement in [0, 3, -1] {
        let message = wire::JudgeRequest { judgement, ..legal::<JudgeRun>().into() };
        assert_eq!(JudgeRun::try_from(message).unwrap_err().field(), "judgement", "{judgement}");
    }
    let message = wire::Judged { decided_at: None, ..legal::<Judged>().into() };
    assert_eq!(Judged::try_from(message).unwrap_err().field(), "decided_at");
    let message = wire::JudgeResponse { judged: None, ..legal::<JudgedRun>().into() };
    assert_eq!(JudgedRun::try_from(message).unwrap_err().field(), "judged");
}

#[test]
fn counts_of_shards_add_up() {
    let counts = |total, ready| {
        ShardCounts::try_from(wire::ShardCounts { total, ready, ..Default::default() })
    };
    assert!(counts(7, 7).is_ok());
    let source = InvalidTotal::NotTheSum { total: 7, sum: 6 };
    assert_eq!(counts(7, 6), Err(InvalidShardCounts::Total { source }));
    let source = OutOfRange { value: SHARDS_MAX as u64 + 1, min: 0, max: SHARDS_MAX.into() };
    let source = InvalidTotal::OutOfRange { source };
    assert_eq!(counts(SHARDS_MAX + 1, SHARDS_MAX + 1), Err(InvalidShardCounts::Total { source }));
    let overflowing =
        wire::ShardCounts { total: 1, committed: u32::MAX, quarantined: 2, ..Default::default() };
    assert!(ShardCounts::try_from(overflowing).is_err());
}

#[test]
fn a_verdict_is_one_of_three_states_and_its_seconds_are_seconds() {
    let verdict = wire::Verdict::from(legal::<RunVerdict>());
    let running = wire::Verdict { state: wire::RunState::Running.into(), ..verdict };
    assert_eq!(RunVerdict::try_from(running).unwrap_err().field(), "state");
    for seconds in [f64::NAN, f64::INFINITY, -1.0] {
        let totals = wire::Totals { infer_s: seconds, ..Default::default() };
        assert_eq!(Totals::try_from(totals).unwrap_err().field(), "infer_s", "{seconds}");
    }
    let count = REJECT_REASONS_MAX + 1;
    let rejects_by_reason: BTreeMap<String, u64> = (0..count).map(|n| (n.to_string(), 1)).collect();
    let totals = wire::Totals { rejects_by_reason, ..Default::default() };
    let source = InvalidReasons::TooMany { count, max: REJECT_REASONS_MAX };
    assert_eq!(Totals::try_from(totals), Err(InvalidTotals::RejectsByReason { source }));
}

#[test]
fn moments_count_forwards_before_1970_too() {
    let moment: Timestamp = "1969-12-31T23:59:59.5Z".parse().unwrap();
    let out = moment_out(moment);
    assert_eq!((out.seconds, out.nanos), (-1, 500_000_000));
    assert_eq!(moment_in(Some(out)), Ok(Some(moment)));
    for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 999_999_999)] {
        let refused = moment_in(Some(prost_types::Timestamp { seconds, nanos }));
        assert_eq!(refused, Err(InvalidMoment { seconds, nanos }));
    }
}

#[test]
fn the_longest_replies_fit() {
    // Four bytes is the most that a character takes.
    let notice = "\u{10ffff}".repeat(MESSAGE_MAX_CHARS);
    let run = RunStatus { notice: notice.clone(), ..legal() };
    let page = RunPage { runs: vec![run.clone(); PAGE_MAX as usize], next: None };
    let message = wire::ListResponse::from(page);
    assert!(message.encoded_len() * 2 <= REPLY_MAX_BYTES, "{}", message.encoded_len());

    let quarantined = QuarantinedShard {
        reason: "r".repeat(ID_MAX_BYTES),
        message: notice,
        ..legal::<QuarantinedShard>()
    };
    let open_shard = ShardStatus {
        leases: vec![legal(); SHARD_LEASES_MAX],
        last_failure: Some(Failure { message: quarantined.message.clone(), ..legal() }),
        ..legal::<ShardStatus>()
    };
    let named = |n: usize| (format!("{n:0ID_MAX_BYTES$}"), u64::MAX);
    let rejects_by_reason = (0..REJECT_REASONS_MAX).map(named).collect();
    let totals = Totals { rejects_by_reason, ..legal() };
    let found = FoundRun {
        run,
        verdict: Some(RunVerdict { totals, ..legal() }),
        quarantined: vec![quarantined; QUARANTINED_SHOWN_MAX],
        shard: Some(open_shard.clone()),
        open_shards: vec![open_shard; OPEN_SHARDS_MAX as usize],
    };
    let message = wire::GetResponse::from(found);
    assert!(message.encoded_len() * 2 <= REPLY_MAX_BYTES, "{}", message.encoded_len());
    assert!(FoundRun::try_from(message).is_ok());
}

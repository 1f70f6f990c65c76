//! Laws that hold for every message.

use std::fmt::Debug;

use proptest::prelude::*;
use prost::Message;

use crate::arbitrary::Legal;
use crate::leases::{acquire, create_record, heartbeat, release, report};
use crate::pods;
use crate::runs::{backfill, cancel, get, judge, list, plan, retry, start, watch};
use crate::wire;

/// Domain value to bytes and back.
fn there_and_back<D, W>(value: &D) -> Result<(), TestCaseError>
where
    D: Clone + PartialEq + Debug + TryFrom<W, Error: Debug>,
    W: Message + Default + From<D>,
{
    let bytes = W::from(value.clone()).encode_to_vec();
    let back = D::try_from(W::decode(bytes.as_slice()).unwrap()).unwrap();
    prop_assert_eq!(&back, value);
    Ok(())
}

/// Any bytes give a value or an error; what gives a value is that value's message.
fn understood_or_refused<D, W>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    D: Clone + PartialEq + Debug + TryFrom<W, Error: std::error::Error + 'static>,
    W: Message + Default + From<D>,
{
    let Ok(message) = W::decode(bytes) else { return Ok(()) };
    match D::try_from(message) {
        Ok(value) => there_and_back::<D, W>(&value),
        Err(error) => {
            let status = crate::refusal::invalid_request(&error);
            prop_assert!(!status.message().is_empty() && status.message().len() <= 1_024);
            Ok(())
        }
    }
}

/// The laws for one message. Bytes that were legal once and have changed a little get further
/// into the conversions than bytes at random.
macro_rules! laws {
    ($($test:ident: $domain:ty = $wire:ident),* $(,)?) => {$(
        mod $test {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(64))]

                #[test]
                fn survives_the_wire(value in <$domain>::legal()) {
                    there_and_back::<$domain, wire::$wire>(&value)?;
                }

                #[test]
                fn takes_damaged_bytes(
                    value in <$domain>::legal(),
                    damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
                ) {
                    let mut bytes = wire::$wire::from(value).encode_to_vec();
                    for (place, byte) in damage {
                        if !bytes.is_empty() {
                            let place = place.index(bytes.len());
                            bytes[place] = byte;
                        }
                    }
                    understood_or_refused::<$domain, wire::$wire>(&bytes)?;
                }

                #[test]
                fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
                    understood_or_refused::<$domain, wire::$wire>(&bytes)?;
                }

                #[test]
                fn ignores_unknown_fields(value in <$domain>::legal(), tag in 100_u32..1_000) {
                    let mut bytes = wire::$wire::from(value.clone()).encode_to_vec();
                    prost::encoding::encode_varint(u64::from(tag << 3), &mut bytes);
                    prost::encoding::encode_varint(u64::from(tag), &mut bytes);
                    let back = <$domain>::try_from(wire::$wire::decode(&bytes[..]).unwrap());
                    prop_assert_eq!(back, Ok(value));
                }
            }
        }
    )*};
}

laws! {
    acquire_request: acquire::Acquire = AcquireRequest,
    acquire_response: acquire::Acquired = AcquireResponse,
    heartbeat_request: heartbeat::Heartbeat = HeartbeatRequest,
    heartbeat_response: heartbeat::HeartbeatAnswered = HeartbeatResponse,
    release_request: release::Release = ReleaseRequest,
    release_response: release::Released = ReleaseResponse,
    report_request: report::Report = ReportRequest,
    report_response: report::Reported = ReportResponse,
    create_record_request: create_record::CreateRecord = CreateRecordRequest,
    create_record_response: create_record::RecordAnswered = CreateRecordResponse,
    hand_in_request: pods::HandIn = HandInRequest,
    hand_in_response: pods::HandedIn = HandInResponse,
    plan_request: plan::PlanRun = PlanRequest,
    plan_response: plan::PlannedRun = PlanResponse,
    start_request: start::StartRun = StartRequest,
    start_response: start::StartedRun = StartResponse,
    get_request: get::GetRun = GetRequest,
    get_response: get::FoundRun = GetResponse,
    list_request: list::ListRuns = ListRequest,
    list_response: list::RunPage = ListResponse,
    watch_request: watch::WatchRun = WatchRequest,
    watch_response: watch::WatchedRun = WatchResponse,
    cancel_request: cancel::CancelRun = CancelRequest,
    cancel_response: cancel::CancelledRun = CancelResponse,
    retry_request: retry::RetryRun = RetryRequest,
    retry_response: retry::RetriedRun = RetryResponse,
    judge_request: judge::JudgeRun = JudgeRequest,
    judge_response: judge::JudgedRun = JudgeResponse,
    backfill_request: backfill::BackfillRuns = BackfillRequest,
    backfill_response: backfill::BackfilledRuns = BackfillResponse,
}

#[test]
fn the_descriptor_set_names_all_services() {
    let set = prost_types::FileDescriptorSet::decode(wire::FILE_DESCRIPTOR_SET).unwrap();
    let services: Vec<(&str, Vec<&str>)> = set
        .file
        .iter()
        .flat_map(|file| &file.service)
        .map(|service| {
            (service.name(), service.method.iter().map(|method| method.name()).collect())
        })
        .collect();
    assert_eq!(
        services,
        [
            ("ShardLeases", vec!["Acquire", "Heartbeat", "Release", "Report", "CreateRecord"]),
            ("Pods", vec!["HandIn"]),
            (
                "Runs",
                vec![
                    "Plan", "Start", "Get", "List", "Watch", "Cancel", "Retry", "Judge", "Backfill"
                ]
            ),
        ]
    );
    assert!(set.file.iter().any(|file| file.name() == "google/protobuf/timestamp.proto"));
}

use super::*;
use crate::report::study::tests::{partial, plan, reporting};

fn root() -> RootId {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

fn pretty(event: &Value) -> String {
    serde_json::to_string_pretty(event).unwrap()
}

#[test]
fn the_events_of_a_run() {
    let (root, reporting) = (root(), reporting());
    let lineage = reporting.lineage.as_ref().unwrap();
    let events = Events { root: &root, reporting: &reporting, lineage };
    let start = events.start(&plan(4));
    insta::assert_snapshot!("start", pretty(&start));
    let mut report = partial().report;
    let end = events.end(&report);
    assert_eq!(end["eventType"], "FAIL");
    assert_eq!(end["run"]["runId"], start["run"]["runId"]);
    insta::assert_snapshot!("fail", pretty(&end));
    report.verdict.state = FinalState::Succeeded;
    let end = events.end(&report);
    assert_eq!(end["eventType"], "COMPLETE");
    assert!(end["run"]["facets"].get("errorMessage").is_none());
}

#[test]
fn every_date_is_of_the_same_data_set() {
    let partition: Partition = "2013-01-01".parse().unwrap();
    for (input, name) in [
        ("/data/date=2013-01-01/*.parquet", "/data"),
        ("/data/2013-01-01/flights.csv", "/data"),
        ("/data/flights-2013-01-01.csv", "/data"),
        ("/data/flights.csv", "/data/flights.csv"),
        ("/data/**/x.csv", "/data"),
        ("/*.csv", "/"),
    ] {
        let found = Dataset::at(input, Some(partition));
        assert_eq!((found.namespace.as_str(), found.name.as_str()), ("file", name));
    }
}

#[test]
fn data_in_a_bucket_is_of_the_bucket() {
    let partition: Partition = "2013-01-01".parse().unwrap();
    for (place, date_of, namespace, name) in [
        ("s3a://lake/flights/date=2013-01-01/", Some(partition), "s3://lake", "flights"),
        ("gs://lake/*.csv", Some(partition), "gs://lake", ""),
        ("az://lake/out/all", None, "az://lake", "out/all"),
    ] {
        let found = Dataset::at(place, date_of);
        assert_eq!((found.namespace.as_str(), found.name.as_str()), (namespace, name));
        assert_eq!(found.source["name"], namespace);
        assert_eq!(found.source["uri"], format!("{namespace}/{name}"));
    }
}

#[test]
fn a_run_is_the_same_uuid_everywhere_and_no_other_runs() {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let run: RunId = "flights-2013-01-01-g1".parse().unwrap();
    let uuid = run_uuid(&root(), &run, at);
    assert_eq!(uuid, run_uuid(&root(), &run, at));
    assert_eq!(uuid.len(), 36);
    assert!(uuid.starts_with("019b76da-a800-7"), "{uuid}: the time, and the version");
    assert!(uuid[19..20].contains(['8', '9', 'a', 'b']), "{uuid}: the variant");
    let other: RunId = "flights-2013-01-01-g2".parse().unwrap();
    assert_ne!(uuid, run_uuid(&root(), &other, at));
    let elsewhere = "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
    assert_ne!(uuid, run_uuid(&elsewhere, &run, at));
}

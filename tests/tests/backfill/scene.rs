//! A folder with flights of some dates, and what a backfill says about them.

use std::path::Path;

use nightshift_core::ids::Partition;
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::process::{Finished, Program};
use serde_json::Value;

/// Dates that have input unless a test says otherwise.
pub(crate) const DATES: [&str; 3] = ["2013-01-01", "2013-01-02", "2013-01-03"];
/// A range with these dates.
pub(crate) const RANGE: &str = "2013-01-01..2013-01-03";
/// Rows of each date.
pub(crate) const ROWS: u64 = 600;

/// Rows of a date that takes long enough to be met half done.
pub(crate) const MANY_ROWS: u64 = 12_000;

/// A folder with `ROWS` flights for each of `dates`.
pub(crate) fn bench(dates: &[&str]) -> Bench {
    bench_at(&Place::Volume, dates)
}

/// The same at a place.
pub(crate) fn bench_at(place: &Place, dates: &[&str]) -> Bench {
    place.dated(&SpecText::default(), dates, ROWS)
}

/// A bench with `MANY_ROWS` flights for one date.
pub(crate) fn long_bench(place: &Place, date: &str) -> Bench {
    place.dated(&SpecText::default(), &[date], place.size(MANY_ROWS, MANY_ROWS / 3))
}

/// `nightshift backfill SPEC --dates RANGE` for scripts.
pub(crate) fn backfill(bench: &Bench) -> Program {
    let flags = ["--dates", RANGE, "--output-format", "json", "--workers", "1"];
    bench.command("backfill").args(flags)
}

/// `nightshift backfill SPEC --date DATE` for scripts.
pub(crate) fn backfill_of(bench: &Bench, date: &str) -> Program {
    let flags = ["--date", date, "--output-format", "json", "--workers", "1"];
    bench.command("backfill").args(flags)
}

/// The JSON that a command has printed.
pub(crate) fn said(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

/// `date state action` of each decision.
pub(crate) fn decisions(finished: &Finished) -> Vec<String> {
    let said = said(finished);
    let all = said["decisions"].as_array().unwrap().iter();
    let word = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    all.map(|one| ["partition", "state", "action"].map(|field| word(one, field)).join(" "))
        .collect()
}

/// `date state` of each date that was worked on.
pub(crate) fn results(finished: &Finished) -> Vec<String> {
    let said = said(finished);
    let all = said["dates"].as_array().unwrap().iter();
    let word = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    all.map(|one| format!("{} {}", word(one, "partition"), word(one, "state"))).collect()
}

/// Writes `count` dates of finals, the newest yesterday, and the root of the spec; as a backfill of
/// as many days would have left them, without data. Returns the dates.
pub(crate) fn write_finals(output: &Path, days: u32) -> Vec<Partition> {
    use nightshift_core::backfill::window::window;
    let dates = window(jiff::Timestamp::now(), &jiff::tz::TimeZone::UTC, days);
    let private = output.join("_nightshift/v1");
    std::fs::create_dir_all(&private).unwrap();
    let root = r#"{"version":1,"root_id":"01JZZZZZZZZZZZZZZZZZZZZZZZ","name":"flights"}"#;
    std::fs::write(private.join("root.json"), root).unwrap();
    let digest = "0".repeat(64);
    for date in &dates {
        let folder = private.join(format!("finals/{date}"));
        std::fs::create_dir_all(&folder).unwrap();
        let verdict = serde_json::json!({
            "version": 1, "run": format!("flights-{date}-g1"), "state": "succeeded",
            "fingerprint": digest, "model_digest": digest,
            "planned_at": "2026-01-01T00:00:00Z", "decided_at": "2026-01-01T00:00:01Z",
            "totals": {
                "shards": 1, "committed": 1, "quarantined": 0, "inherited": 0, "rows_in": 10,
                "rows_out": 10, "rows_rejected": 0, "rows_quarantined": 0, "output_bytes": 10,
                "read_s": 0.0, "infer_s": 0.0, "write_s": 0.0,
            },
        });
        std::fs::write(folder.join("g1.json"), verdict.to_string()).unwrap();
    }
    dates.into_iter().map(Partition::Date).collect()
}

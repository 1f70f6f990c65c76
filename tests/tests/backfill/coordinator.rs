//! Backfills through a coordinator.

use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::process::Program;
use nightshift_tests::store;
use nightshift_tests::waiting::wait_for;
use serde_json::Value;

use crate::scene::{DATES, RANGE, ROWS, decisions, results, said};

fn cluster() -> Cluster {
    let bench = Bench::dated(&SpecText::default(), &DATES, ROWS);
    Cluster::start(bench, Setting { lease_ttl: Duration::from_secs(2), redis: true })
}

fn backfill(cluster: &Cluster) -> Program {
    let spec = cluster.bench().spec();
    let spec = spec.to_str().unwrap();
    cluster.operator(["backfill", spec, "--dates", RANGE, "--output-format", "json"])
}

#[test]
fn a_coordinator_does_one_date_at_a_time_and_calls_that_repeat_start_nothing_more() {
    let mut cluster = cluster();
    let first = backfill(&cluster).run().expect(0);
    let expected =
        ["2013-01-01 missing run", "2013-01-02 missing later", "2013-01-03 missing later"];
    assert_eq!(decisions(&first), expected);
    // Nobody works yet, so the run is under way for as long as this test likes.
    for _ in 0..2 {
        let again = backfill(&cluster).run().expect(0);
        assert_eq!(decisions(&again)[0], "2013-01-01 running leave", "{again}");
        assert_eq!(store::runs(&cluster.output()).len(), 1);
    }
    cluster.coordinator().kill();
    cluster.coordinator().restart();
    cluster.coordinator().wait_until_ready();
    let again = backfill(&cluster).run().expect(0);
    assert_eq!(decisions(&again)[0], "2013-01-01 running leave", "{again}");
    cluster.add(cluster.worker());
    let waited = backfill(&cluster).arg("--wait").run().expect(0);
    assert_eq!(results(&waited), ["2013-01-01 succeeded"]);
    assert_eq!(decisions(&waited)[0], "2013-01-01 running leave", "{waited}");
    let rest = backfill(&cluster).args(["--max-dates", "2", "--wait"]).run().expect(0);
    assert_eq!(results(&rest), ["2013-01-02 succeeded", "2013-01-03 succeeded"]);
    let idle = backfill(&cluster).run().expect(0);
    assert!(decisions(&idle).iter().all(|state| state.ends_with("done skip")), "{idle}");
    cluster.assert_sound();
}

#[test]
fn late_input_and_force_make_new_generations_and_a_dry_run_makes_none() {
    let mut cluster = cluster();
    cluster.add(cluster.worker());
    backfill(&cluster).args(["--max-dates", "3", "--wait"]).run().expect(0);
    let late = cluster.bench().path("in/date=2013-01-02/late.parquet");
    nightshift_tests::flights::write(&late, 10);
    let any = ["--reprocess", "on-any-change"];
    let shown = backfill(&cluster).args(any).arg("--dry-run").run().expect(0);
    assert_eq!(decisions(&shown)[1], "2013-01-02 stale run");
    assert_eq!(store::runs(&cluster.output()).len(), 3);
    let done = backfill(&cluster).args(any).arg("--wait").run().expect(0);
    assert_eq!(results(&done), ["2013-01-02 succeeded"]);
    let spec = cluster.bench().spec();
    let forced = cluster.operator(["backfill", spec.to_str().unwrap(), "--date", "2013-01-03"]);
    let why = ["--force", "--reason", "bad join", "--wait", "--output-format", "json"];
    let forced = forced.args(why).run().expect(0);
    assert_eq!(said(&forced)["dates"][0]["state"], Value::from("succeeded"));
    assert_eq!(store::finals(&cluster.output(), "2013-01-03"), 2);
    cluster.assert_sound();
}

#[test]
fn a_dry_run_over_another_output_says_nothing_about_the_one_that_is_served() {
    let mut cluster = cluster();
    backfill(&cluster).run().expect(0);
    let other = cluster.bench().path("other").display().to_string();
    let words = ["--dates", RANGE, "--output", &other];
    cluster.bench().command("run").args(words).run().expect(0);
    let shown = backfill(&cluster).args(["--output", &other, "--dry-run"]).run().expect(0);
    assert!(decisions(&shown).iter().all(|state| state.contains(" done ")), "{shown}");
    // What the coordinator was told before this date it has written with it.
    cluster.add(cluster.worker());
    cluster.wait_for_final(DATES[0], 1);
    wait_for("the ledger has the date", || cluster.ledger_dates().get(DATES[0]).cloned());
    let dates: Vec<String> = cluster.ledger_dates().into_keys().collect();
    assert_eq!(dates, [DATES[0]], "the ledger calls dates done that only the other output has");
    cluster.assert_sound();
}

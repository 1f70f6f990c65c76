//! What is decided, and done.

use nightshift_tests::bench::SpecText;
use nightshift_tests::place::Place;
use nightshift_tests::{log, store};
use serde_json::Value;

use crate::scene::{DATES, ROWS, backfill, bench, bench_at, decisions, results, said};

fn hour_after_hour_one_missing_date_is_done_and_then_nothing(place: &Place) {
    let bench = bench_at(place, &[DATES[0], DATES[2]]);
    // Only the date whose turn it is has its input looked at.
    let first = backfill(&bench).run().expect(0);
    assert_eq!(results(&first), ["2013-01-01 succeeded"]);
    let states = ["2013-01-01 missing run", "2013-01-02 missing later", "2013-01-03 missing later"];
    assert_eq!(decisions(&first), states);
    let second = backfill(&bench).run().expect(66);
    assert_eq!(results(&second), ["2013-01-03 succeeded"]);
    let states = ["2013-01-01 done skip", "2013-01-02 no input skip", "2013-01-03 missing run"];
    assert_eq!(decisions(&second), states);
    let third = backfill(&bench).run().expect(66);
    assert!(results(&third).is_empty(), "{third}");
    // The input of the gap arrives late.
    nightshift_tests::flights::write(&bench.path("in/date=2013-01-02/f.parquet"), ROWS);
    assert_eq!(results(&backfill(&bench).run().expect(0)), ["2013-01-02 succeeded"]);
    assert!(results(&backfill(&bench).run().expect(0)).is_empty());
    bench.audit(3);
}

fn until_done_does_all_and_the_newest_comes_first_where_asked(place: &Place) {
    let bench = bench_at(place, &DATES);
    let newest = backfill(&bench).args(["--order", "newest", "--dry-run"]).run().expect(0);
    assert!(decisions(&newest).contains(&"2013-01-03 missing run".to_owned()), "{newest}");
    assert!(!bench.output().exists(), "a dry run writes nothing");
    let all = backfill(&bench).args(["--order", "newest", "--until-done"]).run().expect(0);
    let done = ["2013-01-03 succeeded", "2013-01-02 succeeded", "2013-01-01 succeeded"];
    assert_eq!(results(&all), done);
    bench.audit(3);
}

fn late_input_makes_a_date_stale_only_where_it_is_asked_for(place: &Place) {
    let bench = bench_at(place, &DATES);
    backfill(&bench).arg("--until-done").run().expect(0);
    nightshift_tests::flights::write(&bench.path("in/date=2013-01-02/late.parquet"), 10);
    for never in ["never", "on-model-change"] {
        let found = backfill(&bench).args(["--reprocess", never]).run().expect(0);
        assert!(results(&found).is_empty(), "{never}: {found}");
    }
    let again = || backfill(&bench).args(["--reprocess", "on-any-change"]).run().expect(0);
    let found = again();
    assert_eq!(results(&found), ["2013-01-02 succeeded"]);
    let stale = said(&found)["decisions"][1].clone();
    assert_eq!((&stale["state"], &stale["generation"]), (&Value::from("stale"), &Value::from(2)));
    assert!(results(&again()).is_empty(), "once is enough");
    assert_eq!(store::finals(&bench.output(), "2013-01-02"), 2);
}

#[test]
fn force_is_recorded_with_who_and_why() {
    let bench = bench(&DATES);
    backfill(&bench).arg("--until-done").run().expect(0);
    let named = ["--date", "2013-01-02", "--output-format", "json"];
    let forced = || bench.command("backfill").args(named).args(["--force", "--reason", "bad join"]);
    assert_eq!(results(&forced().env("USER", "mona").run().expect(0)), ["2013-01-02 succeeded"]);
    let claim = bench.output().join("_nightshift/v1/claims/2013-01-02/g2.json");
    let claim: Value = serde_json::from_slice(&std::fs::read(claim).unwrap()).unwrap();
    let why = claim["forced"].as_str().unwrap();
    assert!(why.starts_with("bad join (nightshift backfill --force by mona@"), "{why}");
    // Without names, or without a reason, there is no force.
    bench.command("backfill").args(["--force", "--reason", "x"]).run().expect(64);
    bench.command("backfill").args(named).arg("--force").run().expect(64);
}

fn a_date_that_fails_is_tried_three_times_and_does_not_hold_up_the_others(place: &Place) {
    let bench = place.empty();
    let input = "in/date={date}/flights.csv".to_owned();
    let rejects = Some("{ min: 0, max_ratio: 0 }");
    bench.write_spec(&SpecText { input, rejects, ..SpecText::default() }.yaml());
    for date in DATES {
        let file = bench.path(&format!("in/date={date}/flights.csv"));
        nightshift_tests::flights::write(&file, 2_000);
    }
    // One row of the first date cannot be read; it lies beyond the rows that are sampled.
    let spoilt = bench.path("in/date=2013-01-01/flights.csv");
    let good = std::fs::read_to_string(&spoilt).unwrap();
    let mut lines: Vec<&str> = good.lines().collect();
    let bad = "x".repeat(lines[1_501].len());
    lines[1_501] = &bad;
    std::fs::write(&spoilt, lines.join("\n") + "\n").unwrap();
    for round in 1..=3 {
        let failed = backfill(&bench).run().expect(65);
        assert_eq!(results(&failed), ["2013-01-01 partial"], "round {round}");
    }
    let next = backfill(&bench).run().expect(0);
    assert_eq!(results(&next), ["2013-01-02 succeeded"], "{next}");
    assert!(decisions(&next).contains(&"2013-01-01 partial skip".to_owned()), "{next}");
    assert!(next.stderr.contains("no retries left"), "{next}");
    assert_eq!(store::finals(&bench.output(), "2013-01-01"), 3);
    bench.audit(4);
}

fn unreadable_input_is_told_and_does_not_hold_up_the_others(place: &Place) {
    let bench = bench_at(place, &DATES);
    std::fs::write(bench.path("in/date=2013-01-01/flights.parquet"), b"PAR1 no more").unwrap();
    let found = backfill(&bench).run().expect(65);
    assert_eq!(results(&found), ["2013-01-02 succeeded"]);
    assert!(decisions(&found).contains(&"2013-01-01 unreadable skip".to_owned()), "{found}");
    assert!(found.stderr.contains("flights.parquet"), "{found}");
}

#[test]
fn people_read_a_table_that_fits() {
    let bench = bench(&DATES);
    let flags = ["--dates", crate::scene::RANGE, "--workers", "1"];
    let told = bench.command("backfill").args(flags).run().expect(0);
    assert!(told.stdout.contains("2013-01-01  missing  run    never run"), "{told}");
    assert!(told.stdout.contains("0 of 3 dates are done"), "{told}");
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80 || line.contains('/')));
    assert!(log::started(&told.stderr).is_empty(), "no log unless asked for");
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    hour_after_hour_one_missing_date_is_done_and_then_nothing,
    until_done_does_all_and_the_newest_comes_first_where_asked,
    late_input_makes_a_date_stale_only_where_it_is_asked_for,
    a_date_that_fails_is_tried_three_times_and_does_not_hold_up_the_others,
    unreadable_input_is_told_and_does_not_hold_up_the_others,
}

nightshift_tests::through_faults! {
    hour_after_hour_one_missing_date_is_done_and_then_nothing,
    late_input_makes_a_date_stale_only_where_it_is_asked_for,
    a_date_that_fails_is_tried_three_times_and_does_not_hold_up_the_others,
}

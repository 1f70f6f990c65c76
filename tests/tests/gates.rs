//! Publish gates on real processes: what readers see, whoever is killed and whoever decides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::time::Duration;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{log, store, tools};
use serde_json::Value;

const ROWS: u64 = 2_000;
const SHARDS: usize = 100;
/// The same in a bucket.
const SHARDS_IN_BUCKET: usize = 20;
/// A gate that every run passes.
const OPEN: &str = "{ rows: equal }";
/// A gate that none passes: there is no such column.
const CLOSED: &str = "{ columns: { mood: { max_null_ratio: 0 } } }";
/// Rounds of a test that kills; more than one has to hit the moment that it is about.
const ROUNDS: usize = 12;
/// The same in a bucket, where the moment is longer.
const ROUNDS_IN_BUCKET: usize = 2;
/// The longest a killed process may have gone on after what is waited for.
const LATE_MAX: Duration = Duration::from_millis(12);

fn shards(place: &Place) -> usize {
    place.size(SHARDS, SHARDS_IN_BUCKET)
}

fn bench(place: &Place, gates: &str) -> Bench {
    let spec = SpecText { sharding: format!("count: {}", shards(place)), ..SpecText::default() };
    let bench = place.with(&spec, "flights.parquet", ROWS);
    bench.write_spec(&format!("{}  gates: {gates}\n", spec.yaml()));
    bench
}

/// Names of what readers see of generation 1.
fn visible(bench: &Bench) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bench.output().join("all/gen=1")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn judge(bench: &Bench, command: &str) -> Program {
    let program = Program::nightshift().args([command, "all"]).arg(bench.spec());
    bench.equipped(program.args(["--reason", "looked at it"]))
}

fn a_withheld_date_waits_for_a_person_and_costs_nothing_meanwhile(place: &Place) {
    let bench = bench(place, CLOSED);
    let first = bench.run().run().expect(65);
    assert!(first.stdout.contains("withheld"), "{first}");
    assert!(first.stderr.contains("no numeric column `mood`"), "{first}");
    assert!(visible(&bench).is_empty());
    bench.audit(1);
    bench.command("verify").run().expect(0);
    let before = bench.contents();
    let again = bench.run().run().expect(65);
    assert!(log::started(&again.stderr).is_empty(), "{again}");
    for (command, says) in [("status", "withheld"), ("plan", "waits"), ("report", "withheld")] {
        let shown = bench.command(command).run().expect(0);
        assert!(shown.stdout.contains(says), "{shown}");
    }
    let output = bench.output_place();
    let why = Program::nightshift().args(["why", "flights-all-g1", "--output", &output]);
    let why = bench.equipped(why).run().expect(0);
    assert!(why.stdout.contains("waits for a person"), "{why}");
    let tick = bench.command("backfill").run().expect(0);
    assert!(tick.stdout.contains("a gate withholds g1"), "{tick}");
    assert!(bench.contents() == before, "who only looks changes nothing");

    let approved = judge(&bench, "approve").run().expect(0);
    assert!(approved.stdout.contains("flights-all-g1 is approved"), "{approved}");
    assert_eq!(visible(&bench).len(), shards(place) + 1);
    bench.audit(1);
    bench.command("verify").run().expect(0);
    let refused = judge(&bench, "reject").run().expect(65);
    assert!(refused.stderr.contains("the first decision counts"), "{refused}");
    let done = bench.run().run().expect(0);
    assert!(done.stdout.contains("done already"), "{done}");
    let tick = bench.command("backfill").run().expect(0);
    assert!(tick.stdout.contains("1 of 1"), "{tick}");
}

fn a_rejected_date_is_not_run_again_unless_somebody_asks(place: &Place) {
    let bench = bench(place, CLOSED);
    bench.run().run().expect(65);
    judge(&bench, "reject").run().expect(0);
    let again = bench.run().run().expect(65);
    assert!(again.stdout.contains("rejected"), "{again}");
    assert!(log::started(&again.stderr).is_empty(), "{again}");
    assert!(visible(&bench).is_empty());
    judge(&bench, "approve").run().expect(65);
    bench.audit(1);
    let forced = bench.run().arg("--force").run().expect(65);
    assert_eq!(log::started(&forced.stderr).len(), shards(place));
    bench.audit(2);
}

#[test]
fn a_date_is_compared_with_the_accepted_one_before_it() {
    let bench = Bench::new();
    let data = nightshift_tests::binaries::example_model().join("../../data");
    let input = format!("{}/date={{date}}/*.parquet", data.display());
    let spec = SpecText { input, ..SpecText::default() }.yaml();
    bench.write_spec(&format!("{spec}  gates: {{ mean_shift: {{ max: 0.001, unit: std }} }}\n"));
    let run = |date: &str| bench.run().args(["--date", date]).run();
    // Nothing to compare with yet.
    run("2013-01-01").expect(0);
    let moved = run("2013-01-02").expect(65);
    assert!(moved.stderr.contains("moved from"), "{moved}");
    let verdict = |date: &str| store::verdict(&bench.output(), date, 1).unwrap();
    assert_eq!(verdict("2013-01-02")["gate"]["reference"], "flights-2013-01-01-g1");
    // What waits is no reference; what was approved is one.
    run("2013-01-03").expect(65);
    assert_eq!(verdict("2013-01-03")["gate"]["reference"], "flights-2013-01-01-g1");
    let approve = Program::nightshift().args(["approve", "2013-01-02"]).arg(bench.spec());
    approve.args(["--reason", "a holiday"]).run().expect(0);
    run("2013-01-04").expect(65);
    assert_eq!(verdict("2013-01-04")["gate"]["reference"], "flights-2013-01-02-g1");
    tools::audit(&bench.output(), 4);
}

/// The worst moment for a gate: readers must not see a part for good.
fn a_kill_between_the_verdict_and_the_files_is_made_good(place: &Place) {
    let mut random = Random::for_test("a_kill_between_the_verdict_and_the_files");
    let mut between = 0;
    for _ in 0..place.size(ROUNDS, ROUNDS_IN_BUCKET) {
        let bench = bench(place, OPEN);
        let verdict = "_nightshift/v1/finals/all/g1.json";
        between += killed_after(&bench, bench.run(), verdict, &mut random);
        let next = bench.run().run().expect(0);
        assert!(log::started(&next.stderr).is_empty(), "{next}");
        assert_eq!(visible(&bench).len(), shards(place) + 1);
        bench.audit(1);
    }
    assert!(between > 0, "no kill fell between the final and _SUCCESS");
}

fn a_kill_between_the_approval_and_the_files_is_made_good(place: &Place) {
    let mut random = Random::for_test("a_kill_between_the_approval_and_the_files");
    let mut between = 0;
    for round in 0..place.size(ROUNDS, ROUNDS_IN_BUCKET) {
        let bench = bench(place, CLOSED);
        bench.run().run().expect(65);
        let approval = "_nightshift/v1/approvals/all/g1.json";
        between += killed_after(&bench, judge(&bench, "approve"), approval, &mut random);
        // Whoever comes next: the person again, or the next run.
        if round % 2 == 0 { judge(&bench, "approve") } else { bench.run() }.run().expect(0);
        assert_eq!(visible(&bench).len(), shards(place) + 1);
        bench.audit(1);
    }
    assert!(between > 0, "no kill fell between the approval and _SUCCESS");
}

/// Kills a program a moment after a document is there; 1 if it had not marked the success yet.
fn killed_after(bench: &Bench, program: Program, document: &str, random: &mut Random) -> usize {
    let late = random.up_to(LATE_MAX);
    let mut running = program.start();
    wait_for("the document", || (bench.has(document) || running.has_ended()).then_some(()));
    let started = std::time::Instant::now();
    // Not a sleep before a check: the moment of the kill is what the test varies.
    while started.elapsed() < late && !running.has_ended() {
        std::thread::sleep(Duration::from_micros(100));
    }
    running.kill();
    usize::from(!bench.has("all/gen=1/_SUCCESS"))
}

fn of_people_who_decide_at_the_same_time_one_is_heard(place: &Place) {
    let bench = bench(place, CLOSED);
    bench.run().run().expect(65);
    let commands = ["approve", "reject", "approve", "reject", "approve", "reject"];
    let running: Vec<_> = commands.map(|command| judge(&bench, command).start()).into();
    let ended: Vec<_> = running.into_iter().map(|program| program.finish()).collect();
    let winner: Value = {
        let path = bench.output().join("_nightshift/v1/approvals/all/g1.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let won = if winner["judgement"] == "approved" { "approve" } else { "reject" };
    for (command, process) in commands.iter().zip(&ended) {
        let code = process.code();
        assert_eq!(code, Some(if *command == won { 0 } else { 65 }), "{process}");
    }
    assert_eq!(visible(&bench).is_empty(), won == "reject");
    bench.audit(1);
}

fn when_the_canary_fails_no_other_shard_is_scored(place: &Place) {
    let bench = bench(place, "{ columns: { mood: { max_null_ratio: 0 } }, canary: true }");
    let failed = bench.run().run().expect(65);
    let started: Vec<u32> = log::started(&failed.stderr).into_keys().collect();
    assert_eq!(started, [shards(place) as u32 / 2], "{failed}");
    assert!(
        failed.stderr.contains("failed the gate: the output has no numeric column"),
        "{failed}"
    );
    let verdict = store::verdict(&bench.output(), "all", 1).unwrap();
    assert_eq!(verdict["state"], "partial");
    assert_eq!(verdict["quarantined"][0]["reason"], "canary_failed");
    assert!(visible(&bench).is_empty());
    bench.audit(1);
}

#[test]
fn when_the_canary_passes_the_others_follow() {
    let bench = bench(&Place::Volume, "{ rows: equal, canary: true }");
    let done = bench.run().run().expect(0);
    let started = log::started(&done.stderr);
    assert_eq!(started.len(), SHARDS, "{done}");
    let first = log::events(&done.stderr, "inference started")[0].shard;
    assert_eq!(first, SHARDS as u32 / 2, "{done}");
    tools::audit(&bench.output(), 1);
}

#[test]
fn processes_without_an_order_have_no_canary() {
    let bench = bench(&Place::Volume, "{ canary: true }");
    let worker = Program::worker().arg("--spec").arg(bench.spec());
    let refused = worker.args(["--shard-index", "0", "--num-shards", "2"]).run().expect(78);
    assert!(refused.stderr.contains("spec.gates.canary"), "{refused}");
    assert!(!bench.output().exists(), "nothing is written");
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    a_withheld_date_waits_for_a_person_and_costs_nothing_meanwhile,
    a_rejected_date_is_not_run_again_unless_somebody_asks,
    a_kill_between_the_verdict_and_the_files_is_made_good,
    a_kill_between_the_approval_and_the_files_is_made_good,
    of_people_who_decide_at_the_same_time_one_is_heard,
    when_the_canary_fails_no_other_shard_is_scored,
}

nightshift_tests::through_faults! {
    a_withheld_date_waits_for_a_person_and_costs_nothing_meanwhile,
    a_kill_between_the_approval_and_the_files_is_made_good,
    of_people_who_decide_at_the_same_time_one_is_heard,
}

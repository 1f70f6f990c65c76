//! `nightshift gc` with real processes: killed at any moment, beside runs that go on; and what
//! `verify` and `replay` say afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::place::Place;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::store;
use serde_json::Value;

/// Keeps as little as can be: one success, and no grace.
const RETENTION: &str = "  retention: { succeeded: 1, failed: 0, superseded: 0s }\n";

fn bench(place: &Place, spec: &SpecText, file: &str, rows: u64) -> Bench {
    let bench = place.with(spec, file, rows);
    bench.write_spec(&(spec.yaml() + RETENTION));
    bench
}

fn json(program: Program) -> Value {
    let done = program.args(["--output-format", "json"]).run().expect(0);
    serde_json::from_str(&done.stdout).unwrap()
}

fn a_collector_killed_at_any_moment_goes_on_where_it_stood(place: &Place) {
    let mut random = Random::for_test("a_collector_killed_at_any_moment");
    let shards = place.size(100, 20);
    let spec = SpecText { sharding: format!("count: {shards}"), ..SpecText::default() };
    let bench = bench(place, &spec, "flights.parquet", shards * 50);
    bench.run().run().expect(0);
    for _ in 0..2 {
        bench.run().arg("--force").run().expect(0);
    }
    let shown = json(bench.command("gc"));
    assert_eq!((&shown["deleted"], shown["runs"].as_array().unwrap().len()), (&false.into(), 2));
    let memory = bench.path("memory.json");
    let started = Instant::now();
    let mut kills_on_the_way = 0;
    // A bucket is asked to remove one object after the other.
    let bound = place.size(Duration::from_millis(400), Duration::from_millis(900));
    for _ in 0..place.size(12, 6) {
        let delay = random.up_to(bound);
        let begun = Instant::now();
        let mut collector = bench.command("gc").arg("--delete").start();
        // Not a sleep before a check: the moment of the kill is what the test varies.
        while begun.elapsed() < delay && !collector.has_ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        kills_on_the_way += u32::from(collector.kill().was_killed());
        bench.auditor().runs(3).memory(&memory).open().passes();
    }
    bench.command("gc").arg("--delete").run().expect(0);
    let counts = bench.auditor().runs(3).memory(&memory).passes();
    assert_eq!(counts["removed"], 2, "{counts}");
    eprintln!("{kills_on_the_way} collectors were killed, {:?}", started.elapsed());
    assert!(kills_on_the_way > 0, "no kill fell within a collection");
    let output = bench.output();
    assert!(!output.join("all/gen=1").exists() && output.join("all/gen=3").exists());
    let again = bench.command("gc").arg("--delete").run().expect(0);
    assert_eq!(again.stdout, "nothing has had its time\n");
    // The date is done all the same.
    let after = bench.run().run().expect(0);
    assert!(after.stdout.contains("1 of 1 date was done already"), "{after}");
}

/// Ends the collectors beside a test, also when it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Partial runs, runs that inherit from them, and forced ones, with collectors all the while.
fn runs_beside_collectors_lose_nothing(place: &Place) {
    let spec = SpecText { rejects: Some("{ min: 0, max_ratio: 0 }"), ..SpecText::default() };
    let bench = bench(place, &spec, "flights.csv", 2_000);
    let input = bench.path("in/flights.csv");
    let good = fs::read_to_string(&input).unwrap();
    let mut lines: Vec<&str> = good.lines().collect();
    // A row that cannot be read, beyond the rows that are sampled, of the same length.
    let spoilt = "x".repeat(lines[1_501].len());
    lines[1_501] = &spoilt;
    let bad = lines.join("\n") + "\n";
    let written_at = fs::metadata(&input).unwrap().modified().unwrap();
    let write = |text: &str| {
        fs::write(&input, text).unwrap();
        File::options().write(true).open(&input).unwrap().set_modified(written_at).unwrap();
        bench.put_input();
    };
    // The first run makes the output, without which a collector has nothing to look at.
    write(&bad);
    bench.run().run().expect(65);
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let runs = Over(&over);
        let collectors = threads.spawn(|| {
            let mut collections = 0;
            while !over.load(Ordering::Relaxed) {
                bench.command("gc").arg("--delete").run().expect(0);
                collections += 1;
            }
            collections
        });
        for round in 0..3 {
            if round > 0 {
                // The date is done, so a new generation has to be asked for.
                write(&bad);
                bench.run().arg("--force").run().expect(65);
            }
            write(&good);
            bench.run().run().expect(0);
        }
        drop(runs);
        assert!(collectors.join().unwrap() > 1);
    });
    bench.command("gc").arg("--delete").run().expect(0);
    let last = store::verdict(&bench.output(), "all", 6).unwrap();
    // In a bucket, bytes that were damaged and are restored are another object.
    let inherited = place.size(9, 0).into();
    assert_eq!((&last["state"], &last["totals"]["inherited"]), (&"succeeded".into(), &inherited));
    let counts = bench.audit(6);
    assert_eq!(counts["removed"], 5, "{counts}");
    bench.command("verify").run().expect(0);
}

fn a_removed_generation_is_told_from_a_damaged_one(place: &Place) {
    let bench = bench(place, &SpecText::default(), "flights.parquet", 1_000);
    bench.run().run().expect(0);
    bench.run().arg("--force").run().expect(0);
    bench.command("gc").arg("--delete").run().expect(0);
    let removed = bench.command("verify").args(["--run", "flights-all-g1"]).run().expect(0);
    assert!(removed.stdout.contains("removed by gc"), "{removed}");
    let both = bench.command("verify").args(["--run", "flights-all-g2", "--inputs"]);
    assert_eq!(json(both)[0]["inputs"], 1);
    let part = "all/gen=2/part-00001-of-00005.parquet";
    bench.change_output(|output| fs::remove_file(output.join(part)).unwrap());
    let damaged = bench.command("verify").args(["--run", "flights-all-g2"]).run().expect(65);
    assert!(damaged.stdout.contains("does not exist"), "{damaged}");
    bench.command("verify").args(["--run", "flights-all-g7"]).run().expect(66);
    // Other bytes, and another time.
    let input = bench.path("in/flights.parquet");
    nightshift_tests::flights::write(&input, 1_001);
    let written_at = std::time::SystemTime::UNIX_EPOCH;
    File::options().write(true).open(&input).unwrap().set_modified(written_at).unwrap();
    let changed = bench.command("verify").args(["--run", "flights-all-g1", "--inputs"]).run();
    let changed = changed.expect(65);
    assert!(changed.stdout.contains("has changed: planned as"), "{changed}");
}

#[test]
fn who_may_not_delete_is_told_and_another_spec_is_refused() {
    let bench = bench(&Place::Volume, &SpecText::default(), "flights.parquet", 400);
    bench.command("gc").run().expect(78);
    bench.run().run().expect(0);
    let text = fs::read_to_string(bench.spec()).unwrap();
    bench.write_spec(&text.replace("name: flights", "name: others"));
    let refused = bench.command("gc").arg("--delete").run().expect(78);
    assert!(refused.stderr.contains("holds the output of spec `flights`"), "{refused}");
    bench.write_spec(&text);
    bench.run().arg("--force").run().expect(0);
    // A final that cannot be read: nothing of the date goes.
    let verdict = bench.output().join("_nightshift/v1/finals/all/g1.json");
    fs::write(&verdict, "{").unwrap();
    let before = bench.contents();
    let left = bench.command("gc").arg("--delete").run().expect(78);
    assert!(left.stderr.contains("all was left alone"), "{left}");
    assert!(bench.contents() == before, "something was removed");
}

fn a_replayed_shard_is_the_same_bytes(place: &Place) {
    for format in ["parquet", "jsonl"] {
        let spec = SpecText { format, ..SpecText::default() };
        let bench = bench(place, &spec, "flights.parquet", 1_000);
        bench.run().run().expect(0);
        let before = bench.contents();
        let sampled = json(bench.command("replay").args(["flights-all-g1", "--sample", "3"]));
        let outcomes: Vec<&Value> =
            sampled["shards"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
        assert_eq!(outcomes, ["same"; 3], "{sampled}");
        assert!(bench.contents() == before, "a replay writes something");

        // A record that names another digest: the rows are the same, and the bytes are not.
        bench.change_output(|output| {
            let record = output.join("_nightshift/v1/runs/flights-all-g1/records/0000001.json");
            let mut text: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
            text["verdict"]["committed"]["output"]["sha256"] = "0".repeat(64).into();
            fs::write(&record, text.to_string()).unwrap();
        });
        let close = json(bench.command("replay").args(["flights-all-g1", "--shard", "1"]));
        let one = &close["shards"][0];
        assert_eq!((&one["outcome"], &one["rows_differing"]), (&"close".into(), &0.into()));

        // Another shard's rows in its place are noticed.
        bench.change_output(|output| {
            let part = |n| output.join(format!("all/gen=1/part-0000{n}-of-00005.{format}"));
            fs::copy(part(2), bench.path("other")).unwrap();
            fs::rename(bench.path("other"), part(1)).unwrap();
        });
        let other = bench.command("replay").args(["flights-all-g1", "--shard", "1"]).run();
        assert!(other.expect(65).stdout.contains("DIFFERENT"));
    }
}

#[test]
fn a_shard_that_cannot_be_replayed_says_why() {
    let bench = bench(&Place::Volume, &SpecText::default(), "flights.parquet", 1_000);
    bench.run().run().expect(0);
    let replay = || bench.command("replay").args(["flights-all-g1", "--shard", "0"]);
    bench.command("replay").arg("flights-all-g1").run().expect(64);
    bench.command("replay").args(["flights-all-g1", "--shard", "5"]).run().expect(65);
    bench.command("replay").args(["flights-all-g2", "--shard", "0"]).run().expect(66);

    let other = bench.path("model");
    fs::create_dir(&other).unwrap();
    for file in fs::read_dir(nightshift_tests::binaries::example_model()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), other.join(file.file_name())).unwrap();
    }
    replay().arg("--model").arg(&other).run().expect(0);
    fs::write(other.join("extra.json"), "{}").unwrap();
    let refused = replay().arg("--model").arg(&other).run().expect(78);
    assert!(refused.stderr.contains("was scored by the model"), "{refused}");

    let input = bench.path("in/flights.parquet");
    let written_at = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    File::options().write(true).open(&input).unwrap().set_modified(written_at).unwrap();
    let changed = replay().run().expect(66);
    assert!(changed.stderr.contains("mtime:1000000000"), "{changed}");
    assert!(changed.stderr.contains("planned as"), "{changed}");
    fs::remove_file(&input).unwrap();
    replay().run().expect(66);
}

nightshift_tests::on_a_volume_and_in_a_bucket! {
    a_collector_killed_at_any_moment_goes_on_where_it_stood,
    runs_beside_collectors_lose_nothing,
    a_removed_generation_is_told_from_a_damaged_one,
    a_replayed_shard_is_the_same_bytes,
}

nightshift_tests::through_faults! {
    a_collector_killed_at_any_moment_goes_on_where_it_stood,
    runs_beside_collectors_lose_nothing,
    a_removed_generation_is_told_from_a_damaged_one,
}

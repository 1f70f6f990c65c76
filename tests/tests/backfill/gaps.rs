//! Dates without input, in a real Redis: noted, looked at again, and never in the way.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;
use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::flights;
use nightshift_tests::process::Program;
use nightshift_tests::random::Random;
use nightshift_tests::redis::RedisServer;
use nightshift_tests::waiting::wait_for;
use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{DATES, RANGE, ROWS, backfill, bench, decisions, results, said};

const GAPS_KEY: &str = "nightshift:{flights}:no-input";
const DATES_KEY: &str = "nightshift:{flights}:dates";

fn with(bench: &Bench, redis: &RedisServer) -> Program {
    backfill(bench).env("REDIS_URL", redis.url())
}

fn fields(redis: &RedisServer, key: &str) -> BTreeSet<String> {
    redis.cli(&["HKEYS", key]).texts().into_iter().collect()
}

fn gap(redis: &RedisServer, date: &str) -> Value {
    serde_json::from_str(&redis.cli(&["HGET", GAPS_KEY, date]).text()).unwrap()
}

/// What the states of the dates say, with this Redis.
fn states(bench: &Bench, redis: &RedisServer) -> Value {
    let flags = ["--dates", RANGE, "--state", "--output-format", "json"];
    let shown = bench.command("plan").args(flags).env("REDIS_URL", redis.url()).run().expect(0);
    said(&shown)
}

#[test]
fn a_gap_is_noted_looked_at_each_time_and_forgotten_when_the_date_is_done() {
    let (bench, redis) = (bench(&DATES[1..]), RedisServer::start());
    states(&bench, &redis);
    assert!(redis.cli(&["KEYS", "*"]).texts().is_empty(), "who looks writes nothing");
    // The very first run of an output, which has no identity before it.
    let first = with(&bench, &redis).run().expect(66);
    assert_eq!(results(&first), ["2013-01-02 succeeded"]);
    assert_eq!(fields(&redis, GAPS_KEY), BTreeSet::from([DATES[0].to_owned()]));
    assert_eq!(fields(&redis, DATES_KEY), BTreeSet::from([DATES[1].to_owned()]), "no entry (I4)");
    let noted = gap(&redis, DATES[0]);
    let again = with(&bench, &redis).run().expect(66);
    assert!(decisions(&again).contains(&"2013-01-01 no input skip".to_owned()), "{again}");
    let looked = gap(&redis, DATES[0]);
    assert_eq!(looked["since"], noted["since"]);
    assert_ne!(looked["looked_at"], noted["looked_at"], "it is looked at each time");
    let shown = states(&bench, &redis);
    assert_eq!(shown["ledger"], "current");
    assert_eq!(shown["dates"][0]["state"], "no input");
    assert_eq!(shown["dates"][0]["since"], noted["since"]);
    let why = bench.command("why").arg(DATES[0]).env("REDIS_URL", redis.url()).run().expect(0);
    let told = why.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("A backfill missed it first"), "{why}");
    // The input arrives late: the mark skips nothing, and goes with the final.
    flights::write(&bench.path("in/date=2013-01-01/f.parquet"), ROWS);
    let done = with(&bench, &redis).run().expect(0);
    assert_eq!(results(&done), ["2013-01-01 succeeded"]);
    assert!(fields(&redis, GAPS_KEY).is_empty());
    assert_eq!(fields(&redis, DATES_KEY).len(), 3);
    assert_eq!(states(&bench, &redis)["totals"]["states"]["done"], 3);
}

#[test]
fn a_ledger_that_is_lost_loses_gaps_and_learns_them_again() {
    let (bench, redis) = (bench(&DATES[1..]), RedisServer::start());
    with(&bench, &redis).arg("--until-done").run().expect(66);
    for damage in [
        &["FLUSHALL"][..],
        &["HSET", "nightshift:{flights}:meta", "root_id", "01JZZZZZZZZZZZZZZZZZZZZZZZ"],
    ] {
        redis.cli(damage);
        let found = with(&bench, &redis).run().expect(66);
        assert_eq!(said(&found)["ledger"], "lost");
        assert_eq!(fields(&redis, GAPS_KEY), BTreeSet::from([DATES[0].to_owned()]), "{damage:?}");
    }
    // A mark that nobody can read is as good as none, and is put right.
    redis.cli(&["HSET", GAPS_KEY, DATES[0], "not JSON"]);
    assert!(states(&bench, &redis)["dates"][0].get("since").is_none());
    with(&bench, &redis).run().expect(66);
    assert!(gap(&redis, DATES[0])["since"].is_string());
    // One of another output that lies here is not believed.
    redis.cli(&["HSET", GAPS_KEY, DATES[0], r#"{"root":"01JZZZZZZZZZZZZZZZZZZZZZZZ","since":"2020-01-01T00:00:00Z","looked_at":"2020-01-01T00:00:00Z"}"#]);
    assert!(states(&bench, &redis)["dates"][0].get("since").is_none());
}

/// A tick that has looked in vain is stopped, and tells the ledger when somebody else has done the
/// date meanwhile. The other dates of its year cannot be read, so that it has more to look at.
#[test]
fn late_marks_never_stand_beside_a_date_that_is_done() {
    const ROUNDS: u64 = 8;
    let mut chance = Random::for_test("late_marks_never_stand_beside_a_date_that_is_done");
    let (bench, redis) = (bench(&DATES[1..]), RedisServer::start());
    for date in "2013-01-04".parse::<Date>().unwrap().series(1.day()).take(360) {
        let folder = bench.path(&format!("in/date={date}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("f.parquet"), b"PAR1 no more").unwrap();
    }
    with(&bench, &redis).arg("--until-done").run().expect(66);
    let (ready, place) = (bench.path("spare"), bench.path("in/date=2013-01-01"));
    flights::write(&ready.join("f.parquet"), ROWS);
    let tick = |flags: &[&str]| {
        let tick = bench.command("backfill").args(flags.iter().copied());
        tick.args(["--workers", "1"]).env("REDIS_URL", redis.url())
    };
    let mut late_ones = 0;
    for round in 0..ROUNDS {
        let mut late = tick(&["--dates", "2013-01-01..2013-12-29", "--max-dates", "9"]).start();
        // Any moment of its look; later from round to round, where machines are slow.
        std::thread::sleep(Duration::from_millis(chance.below(100 + 100 * round)));
        late.signal(Signal::STOP);
        std::fs::rename(&ready, &place).unwrap();
        tick(&["--date", DATES[0]]).run().expect(0);
        assert_eq!(fields(&redis, DATES_KEY).len(), 3, "round {round}");
        late.signal(Signal::CONT);
        let late = late.finish();
        late_ones += usize::from(late.stdout.contains("2013-01-01  no input"));
        assert!(fields(&redis, GAPS_KEY).is_empty(), "round {round}: {late}");
        // Everything as before, but for the date.
        std::fs::rename(&place, &ready).unwrap();
        for folder in ["claims", "finals"] {
            let of_date = bench.output().join(format!("_nightshift/v1/{folder}/2013-01-01"));
            std::fs::remove_dir_all(of_date).unwrap();
        }
        let run = bench.output().join("_nightshift/v1/runs/flights-2013-01-01-g1");
        std::fs::remove_dir_all(run).unwrap();
        let _ = std::fs::remove_dir_all(bench.output().join("date=2013-01-01"));
        redis.cli(&["HDEL", DATES_KEY, DATES[0]]);
    }
    assert!(late_ones > 0, "none has looked in vain");
}

#[test]
fn a_coordinator_notes_gaps_too() {
    let bench = Bench::dated(&SpecText::default(), &DATES[1..], ROWS);
    let setting = Setting { lease_ttl: Duration::from_secs(2), redis: true };
    let mut cluster = Cluster::start(bench, setting);
    let tick = |cluster: &Cluster, more: &[&str]| {
        let spec = cluster.bench().spec().display().to_string();
        let flags = ["backfill", &spec, "--dates", RANGE, "--output-format", "json"];
        cluster.operator(flags).args(more.iter().copied()).run()
    };
    tick(&cluster, &["--dry-run"]).expect(66);
    assert!(fields(cluster.redis(), GAPS_KEY).is_empty(), "a dry run writes nothing");
    tick(&cluster, &[]).expect(66);
    wait_for("the mark", || fields(cluster.redis(), GAPS_KEY).contains(DATES[0]).then_some(()));
    let spec = cluster.bench().spec().display().to_string();
    let why = |cluster: &Cluster, date: &str| {
        let told = cluster.operator(["why", &spec, date]).run().expect(0);
        told.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let missing = why(&cluster, DATES[0]);
    assert!(missing.contains("is `no input` for the coordinator"), "{missing}");
    let running = why(&cluster, DATES[1]);
    assert!(running.contains("flights-2013-01-02-g1 is running"), "{running}");
    assert!(running.contains("backfills leave it to them"), "{running}");
    flights::write(&cluster.bench().path("in/date=2013-01-01/f.parquet"), ROWS);
    cluster.add(cluster.worker());
    tick(&cluster, &["--max-dates", "3", "--wait"]).expect(0);
    wait_for("the end of the mark", || fields(cluster.redis(), GAPS_KEY).is_empty().then_some(()));
    let done = why(&cluster, DATES[0]);
    assert!(done.contains("is `done` for the coordinator"), "{done}");
    cluster.assert_sound();
}

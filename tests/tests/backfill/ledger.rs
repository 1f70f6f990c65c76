//! Redis full, empty, wrong and away.

use std::time::Instant;

use nightshift_tests::bench::Bench;
use nightshift_tests::process::{Finished, Program};
use nightshift_tests::redis::RedisServer;
use nightshift_tests::{store, tools};

use crate::scene::{DATES, backfill, bench, decisions, results, said, write_finals};

const DATES_KEY: &str = "nightshift:{flights}:dates";
pub(crate) const META_KEY: &str = "nightshift:{flights}:meta";

fn with(bench: &Bench, redis: &RedisServer) -> Program {
    backfill(bench).env("REDIS_URL", redis.url())
}

fn entries(redis: &RedisServer) -> usize {
    redis.cli(&["HKEYS", DATES_KEY]).texts().len()
}

/// How often the server was asked for `command`.
fn calls(redis: &RedisServer, command: &str) -> u64 {
    let stats = redis.cli(&["INFO", "commandstats"]).text();
    let of = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&of));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

fn ledger_word(finished: &Finished) -> String {
    said(finished)["ledger"].as_str().unwrap().to_owned()
}

#[test]
fn the_ledger_is_told_after_the_final_and_believed_afterwards() {
    let (bench, redis) = (bench(&DATES), RedisServer::start());
    with(&bench, &redis).arg("--until-done").run().expect(0);
    assert_eq!(entries(&redis), 3);
    assert_eq!(redis.cli(&["HGET", META_KEY, "root_id"]).text(), store::root_id(&bench.output()));
    let idle = with(&bench, &redis).run().expect(0);
    assert_eq!(ledger_word(&idle), "current");
    assert!(decisions(&idle).iter().all(|said| said.ends_with("done skip")), "{idle}");
    tools::audit(&bench.output(), 3);
}

#[test]
fn a_wiped_or_foreign_ledger_starts_nothing_and_is_made_anew() {
    let (bench, redis) = (bench(&DATES), RedisServer::start());
    with(&bench, &redis).arg("--until-done").run().expect(0);
    let wipe: &[&str] = &["FLUSHALL"];
    let foreign: &[&str] = &["HSET", META_KEY, "root_id", "01JZZZZZZZZZZZZZZZZZZZZZZZ"];
    let lacking: &[&str] = &["HDEL", DATES_KEY, "2013-01-02"];
    for (damage, ledger) in [(wipe, "lost"), (foreign, "lost"), (lacking, "current")] {
        redis.cli(damage);
        let found = with(&bench, &redis).run().expect(0);
        assert!(results(&found).is_empty(), "{damage:?}: {found}");
        assert_eq!(ledger_word(&found), ledger, "{damage:?}");
        assert_eq!(entries(&redis), 3, "{damage:?}: told again");
        assert_eq!(ledger_word(&with(&bench, &redis).run().expect(0)), "current");
    }
}

#[test]
fn redis_that_lies_about_another_output_is_not_believed() {
    let (bench, redis) = (bench(&DATES), RedisServer::start());
    let other = crate::scene::bench(&DATES);
    with(&other, &redis).arg("--until-done").run().expect(0);
    assert_eq!(entries(&redis), 3);
    let found = with(&bench, &redis).run().expect(0);
    assert_eq!(results(&found), ["2013-01-01 succeeded"]);
    assert_eq!(entries(&redis), 1, "now it is this output's");
}

#[test]
fn without_redis_the_output_says_what_is_done() {
    let (bench, mut redis) = (bench(&DATES), RedisServer::start());
    with(&bench, &redis).arg("--max-dates").arg("2").run().expect(0);
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let read_only = with(&bench, &redis).run().expect(0);
    assert_eq!(results(&read_only), ["2013-01-03 succeeded"], "{read_only}");
    assert!(read_only.stderr.contains("the ledger was not told"), "{read_only}");
    redis.kill();
    let away = with(&bench, &redis).run().expect(0);
    assert!(results(&away).is_empty(), "{away}");
    assert_eq!(ledger_word(&away), "unavailable");
    assert!(away.stderr.contains("the output is asked instead"), "{away}");
    assert!(results(&backfill(&bench).run().expect(0)).is_empty());
    tools::audit(&bench.output(), 3);
}

#[test]
fn when_neither_answers_nothing_is_started() {
    let bench = bench(&DATES);
    backfill(&bench).run().expect(0);
    let finals = bench.output().join("_nightshift/v1/finals");
    std::fs::remove_dir_all(&finals).unwrap();
    std::fs::write(&finals, "in the way").unwrap();
    let found = backfill(&bench).env("REDIS_URL", "redis://127.0.0.1:1").run();
    assert_ne!(found.code(), Some(0), "{found}");
    assert!(decisions(&found).iter().all(|said| said.ends_with("unknown skip")), "{found}");
    assert!(results(&found).is_empty(), "{found}");
}

#[test]
fn ten_years_of_done_dates_cost_one_round_trip() {
    const DAYS: u32 = 3_650;
    let (bench, redis) = (bench(&[]), RedisServer::start());
    let dates = write_finals(&bench.output(), DAYS);
    assert_eq!(dates.len(), DAYS as usize);
    let days = format!("{DAYS}d");
    let tick = || {
        let began = Instant::now();
        let flags = ["--window", &days, "--output-format", "json"];
        let program = bench.command("backfill").args(flags).env("REDIS_URL", redis.url());
        let ended = program.run().expect(0);
        assert!(results(&ended).is_empty(), "{}", ended.stderr);
        (ended, began.elapsed())
    };
    let (rebuilt, first) = tick();
    assert_eq!(ledger_word(&rebuilt), "lost");
    assert_eq!(entries(&redis), DAYS as usize);
    let before = ["hmget", "hget", "hgetall", "exec", "hset"].map(|name| calls(&redis, name));
    let (idle, second) = tick();
    assert_eq!(ledger_word(&idle), "current");
    let after = ["hmget", "hget", "hgetall", "exec", "hset"].map(|name| calls(&redis, name));
    let asked: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    // One transaction of two commands, sent together: whose the ledger is, and its dates.
    assert_eq!(asked, [2, 0, 0, 1, 0]);
    eprintln!("{DAYS} done dates: ledger made anew in {first:?}, then asked in {second:?}");
}

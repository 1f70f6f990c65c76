//! The auditor notices each kind of damage; a judge that accepts everything is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::redis::RedisServer;
use nightshift_tests::store;
use nightshift_tests::tools::Audit;
use serde_json::{Value, json};

const ROWS: u64 = 400;
const RUN: &str = "flights-all-g1";
const DATES: &str = "nightshift:{flights}:dates";
const DONE: &str = "nightshift:{flights}:run:flights-all-g1:done";
const META: &str = "nightshift:{flights}:meta";

/// A finished run of two shards.
fn finished() -> Bench {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    bench.run().run().expect(0);
    Audit::of(&bench.output()).runs(1).passes();
    bench
}

/// What a listing of `folder` below the output starts with.
fn first_in(bench: &Bench, folder: &str, extension: &str) -> PathBuf {
    store::names(&bench.output().join(folder), extension).remove(0)
}

/// Changes a document, whose folder may be protected from nobody but us.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::remove_file(path).unwrap();
    fs::write(path, document.to_string()).unwrap();
}

fn private(bench: &Bench, path: &str) -> PathBuf {
    bench.output().join("_nightshift/v1").join(path)
}

/// Spoils a finished run in one way; the auditor must say so in these words.
#[track_caller]
fn noticed(says: &str, spoil: impl FnOnce(&Bench)) {
    let bench = finished();
    spoil(&bench);
    let found = Audit::of(&bench.output()).runs(1).fails();
    assert!(found.contains(says), "the auditor does not say `{says}`, but {found}");
}

#[test]
fn a_missing_record_is_noticed() {
    noticed("but shards are undecided", |bench| {
        fs::remove_file(first_in(bench, &format!("_nightshift/v1/runs/{RUN}/records"), "json"))
            .unwrap();
    });
}

#[test]
fn a_changed_output_is_noticed() {
    noticed("has another digest than its record", |bench| {
        let path = first_in(bench, "all/gen=1", "parquet");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn rows_of_another_shard_are_noticed() {
    noticed("output rows are not the planned rows", |bench| {
        let plan = private(bench, &format!("runs/{RUN}/plan.json"));
        edit(&plan, |plan| plan["shards"].as_array_mut().unwrap().reverse());
    });
}

#[test]
fn a_missing_and_a_strange_visible_file_are_noticed() {
    noticed("does not exist", |bench| {
        fs::remove_file(first_in(bench, "all/gen=1", "parquet")).unwrap();
    });
    noticed("visible files differ from the records", |bench| {
        fs::write(bench.output().join("all/gen=1/part-00009-of-00002.parquet"), "").unwrap();
    });
}

#[test]
fn a_final_that_is_missing_or_tells_another_story_is_noticed() {
    let the_final = |bench: &Bench| private(bench, "finals/all/g1.json");
    noticed("no final", |bench| fs::remove_file(the_final(bench)).unwrap());
    noticed("the records say", |bench| {
        edit(&the_final(bench), |verdict| verdict["totals"]["rows_out"] = json!(ROWS + 1));
    });
    noticed("the records say", |bench| {
        edit(&the_final(bench), |verdict| verdict["state"] = json!("partial"));
    });
}

#[test]
fn a_document_that_changes_or_goes_between_two_audits_is_noticed() {
    let bench = finished();
    let seen = bench.path("seen.json");
    let audit = || Audit::of(&bench.output()).memory(&seen);
    audit().passes();
    assert!(audit().passes()["documents_kept"].as_u64().unwrap() >= 5);
    let claim = private(&bench, "claims/all/g1.json");
    let bytes = fs::read(&claim).unwrap();
    edit(&claim, |claim| claim["claimed_by"] = json!("somebody"));
    assert!(audit().fails().contains("claims/all/g1.json is changed"));
    fs::remove_file(&claim).unwrap();
    assert!(audit().fails().contains("claims/all/g1.json is gone"));
    fs::write(&claim, bytes).unwrap();
    audit().passes();
}

/// A Redis that says what the store says, and its entry of the date.
fn indexed(bench: &Bench) -> (RedisServer, Value) {
    let redis = RedisServer::start();
    let root: Value =
        serde_json::from_slice(&fs::read(private(bench, "root.json")).unwrap()).unwrap();
    let verdict = store::verdict(&bench.output(), "all", 1).unwrap();
    let entry = json!({
        "root": root["root_id"], "run": RUN, "generation": 1, "state": "succeeded",
        "fingerprint": verdict["fingerprint"], "rows": ROWS, "finished_at": verdict["decided_at"],
    });
    redis.cli(&["HSET", META, "root_id", root["root_id"].as_str().unwrap()]);
    redis.cli(&["HSET", DATES, "all", &entry.to_string()]);
    (redis, entry)
}

fn with_redis(bench: &Bench, redis: &RedisServer) -> Audit {
    Audit::of(&bench.output()).redis(redis.port())
}

#[test]
fn a_ledger_that_is_ahead_is_noticed() {
    let bench = finished();
    let (redis, entry) = indexed(&bench);
    let counts = with_redis(&bench, &redis).redis_complete().passes();
    assert_eq!((&counts["redis_dates"], &counts["redis_root"]), (&json!(1), &json!("own")));

    redis.cli(&["SADD", DONE, "0", "1"]);
    assert_eq!(with_redis(&bench, &redis).passes()["redis_done"], 2);
    redis.cli(&["SADD", DONE, "2"]);
    assert!(with_redis(&bench, &redis).fails().contains("shards [2]"));
    redis.cli(&["SREM", DONE, "2"]);

    redis.cli(&["HSET", DATES, "2013-01-01", &entry.to_string()]);
    assert!(with_redis(&bench, &redis).fails().contains("generation 1 has no final"));
    redis.cli(&["HDEL", DATES, "2013-01-01"]);
    let other_root = "01M84SFFT7KEZSEZRF0DGT3MCA";
    for (key, value, says) in [
        ("generation", json!(2), "generation 2 has no final"),
        ("root", json!(other_root), "all has root"),
        ("state", json!("partial"), "all has state partial in Redis"),
        ("fingerprint", json!("0"), "all has fingerprint 0 in Redis"),
        ("rows", json!(7), "all has rows 7 in Redis"),
        ("run", json!("flights-all-g2"), "all has run flights-all-g2 in Redis"),
    ] {
        let mut wrong = entry.clone();
        wrong[key] = value;
        redis.cli(&["HSET", DATES, "all", &wrong.to_string()]);
        let found = with_redis(&bench, &redis).fails();
        assert!(found.contains(says), "{found}");
    }
}

#[test]
fn a_ledger_that_is_behind_is_noticed_only_where_it_should_be_complete() {
    let bench = finished();
    let (redis, _) = indexed(&bench);
    redis.cli(&["DEL", DATES]);
    with_redis(&bench, &redis).passes();
    assert!(with_redis(&bench, &redis).redis_complete().fails().contains("Redis says None"));
    redis.cli(&["FLUSHALL"]);
    assert_eq!(with_redis(&bench, &redis).passes()["redis_root"], "none");
    assert!(with_redis(&bench, &redis).redis_complete().fails().contains("does not name the root"));
}

#[test]
fn a_ledger_of_another_root_is_noticed() {
    let bench = finished();
    let (redis, _) = indexed(&bench);
    redis.cli(&["HSET", META, "root_id", "01M84SFFT7KEZSEZRF0DGT3MCA"]);
    assert!(with_redis(&bench, &redis).fails().contains("`meta` names the root"));
    let counts = with_redis(&bench, &redis).redis_foreign_ok().passes();
    assert_eq!(counts["redis_root"], "foreign");
    // One that is being made anew names no root, and nobody believes it.
    redis.cli(&["HDEL", META, "root_id"]);
    redis.cli(&["SADD", DONE, "2"]);
    assert_eq!(with_redis(&bench, &redis).passes()["redis_root"], "none");
}

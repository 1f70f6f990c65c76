//! What Redis should hold, from the files of the store, by code that shares nothing with the
//! code under test: file names, JSON and sets of strings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use nightshift_tests::redis::{Connection, RedisServer, Reply};
use serde_json::{Value, json};

/// Keys with their content, in a form that compares.
pub(crate) type Keys = BTreeMap<String, BTreeSet<String>>;

/// Fails unless the server holds exactly what follows from the store.
#[track_caller]
pub(crate) fn check(server: &RedisServer, store: &Path) {
    let (held, expected) = (held(server), expected(store));
    assert_eq!(held, expected, "\nRedis says the left, the store says the right");
}

/// Fails if the server says that something is done which is not in the store (I4).
#[track_caller]
pub(crate) fn check_never_ahead(server: &RedisServer, store: &Path) {
    let held = held(server);
    // In this order: what was in Redis before must be in the store now.
    let root = read(&store.join("_nightshift/v1/root.json"))["root_id"].clone();
    for (key, members) in held {
        if let Some((_, run)) = key.split_once(":run:") {
            let run = run.strip_suffix(":done").unwrap();
            for shard in members {
                let record = format!("_nightshift/v1/runs/{run}/records/{shard:0>7}.json");
                assert!(store.join(&record).is_file(), "{key} has {shard}, but no {record}");
            }
        } else if key.ends_with(":dates") {
            for member in members {
                let (date, entry) = member.split_once('=').unwrap();
                let entry: Value = serde_json::from_str(entry).unwrap();
                if entry["root"] != root {
                    continue;
                }
                let path = format!("_nightshift/v1/finals/{date}/g{}.json", entry["generation"]);
                assert_eq!(read(&store.join(path))["state"], entry["state"], "{key} {date}");
            }
        }
    }
}

fn expected(store: &Path) -> Keys {
    let private = store.join("_nightshift/v1");
    let root = read(&private.join("root.json"));
    let prefix = format!("nightshift:{{{}}}", root["name"].as_str().unwrap());
    let mut keys = Keys::new();
    let meta = [format!("root_id={}", root["root_id"].as_str().unwrap()), "version=1".into()];
    keys.insert(format!("{prefix}:meta"), meta.into());
    let mut newest = BTreeMap::new();
    for date in list(&private.join("finals")) {
        let finals = list(&private.join("finals").join(&date));
        let generation = finals.iter().map(|file| generation(file)).max().unwrap();
        newest.insert(date.clone(), generation);
        let verdict = read(&private.join(format!("finals/{date}/g{generation}.json")));
        let entry = json!({
            "root": root["root_id"],
            "run": verdict["run"],
            "generation": generation,
            "state": verdict["state"],
            "fingerprint": verdict["fingerprint"],
            "model": verdict["model_digest"],
            "rows": verdict["totals"]["rows_in"],
            "finished_at": verdict["decided_at"],
        });
        keys.entry(format!("{prefix}:dates")).or_default().insert(format!("{date}={entry}"));
    }
    for date in list(&private.join("claims")) {
        for file in list(&private.join("claims").join(&date)) {
            let number = generation(&file);
            if newest.get(&date).is_some_and(|newest| *newest >= number) {
                continue;
            }
            let run = format!("{}-{date}-g{number}", root["name"].as_str().unwrap());
            let records = list(&private.join(format!("runs/{run}/records")));
            if records.is_empty() {
                continue;
            }
            let shards = records.iter().map(|file| {
                file.strip_suffix(".json").unwrap().parse::<u32>().unwrap().to_string()
            });
            keys.insert(format!("{prefix}:run:{run}:done"), shards.collect());
            keys.entry(format!("{prefix}:runs")).or_default().insert(run);
        }
    }
    keys
}

/// What the server holds, without the writers: each test has its own. Nor gaps: the store knows
/// nothing of them.
pub(crate) fn held(server: &RedisServer) -> Keys {
    let mut to = server.connect();
    let keys = to.ask(&["KEYS", "*"]).unwrap().texts();
    let of_writers = |key: &String| key.ends_with(":writers") || key.ends_with(":no-input");
    keys.into_iter()
        .filter(|key| !of_writers(key))
        .map(|key| {
            let members = members(&mut to, &key);
            (key, members)
        })
        // A key that was removed since it was listed.
        .filter(|(_, members)| !members.is_empty())
        .collect()
}

fn members(to: &mut Connection, key: &str) -> BTreeSet<String> {
    match to.ask(&["TYPE", key]).unwrap().text().as_str() {
        "set" => to.ask(&["SMEMBERS", key]).unwrap().texts().into_iter().collect(),
        "hash" => {
            let Reply::List(Some(items)) = to.ask(&["HGETALL", key]).unwrap() else { panic!() };
            let pairs = items.chunks(2).map(|pair| {
                let [field, value] = pair else { panic!("half a pair") };
                let (field, value) = (field.clone().text(), value.clone().text());
                // The order of fields in JSON means nothing.
                let json = serde_json::from_str::<Value>(&value).ok().filter(Value::is_object);
                format!("{field}={}", json.map_or(value, |json| json.to_string()))
            });
            pairs.collect()
        }
        "none" => BTreeSet::new(),
        other => BTreeSet::from([format!("is a {other}")]),
    }
}

fn generation(file: &str) -> u64 {
    file.strip_prefix('g').unwrap().strip_suffix(".json").unwrap().parse().unwrap()
}

fn list(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Names under which a create is under way.
    names.filter(|name| !name.contains('#')).collect()
}

fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

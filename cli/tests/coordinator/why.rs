//! `nightshift why`, from the coordinator and from stored documents.

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::Token;
use nightshift_core::record::FailureClass;
use nightshift_proto::leases::Phase;
use nightshift_proto::leases::report::Failure;
use nightshift_proto::runs::get::{FoundRun, ShardLease, ShardState, ShardStatus};
use nightshift_proto::runs::status::RunState::Running;
use nightshift_tests::bench::{Bench, SpecText};
use tonic::Status;

use crate::fixtures::{ask, ended, fits, found, going, json, nightshift, only, plain};
use crate::server::{Call, Script, Server};

const RUN: &str = "flights-2013-01-01-g1";

fn leased() -> ShardStatus {
    ShardStatus {
        shard: ShardIndex(17),
        state: ShardState::Leased,
        rows: 5_000,
        failed_attempts: 2,
        preempted_attempts: 0,
        attempt: None,
        leases: vec![ShardLease {
            token: Token { epoch: 3, sequence: 44 },
            worker: "node-7:4711".parse().unwrap(),
            phase: Phase::Scoring,
            rows_done: 1_200,
            age_ms: 62_000,
            heard_ms: 500,
        }],
        last_failure: Some(Failure {
            class: FailureClass::Transient,
            reason: "store_timeout".parse().unwrap(),
            message: "the store did not answer for 30 s; it is tried again".into(),
        }),
    }
}

/// What was printed, as one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_is_explained_in_plain_words() {
    let message = "3 of 100 rows were rejected, 1 are allowed; mend the rows";
    let server = Server::start(
        Script::default()
            .get(move |get, _| Ok(found(ended(&get.run, 5, 8), FailureClass::Data, message))),
    );
    let done = ask(&server, &["why", RUN]).run().expect(0);
    plain(&done);
    fits(&done);
    let text = flat(&done.stdout);
    assert!(text.starts_with("flights-2013-01-01-g1 has ended "), "{text}");
    for part in [
        "partial, 1 minute after it was planned.",
        "Of its 8 shards, 3 are committed, 5 given up.",
        "300 rows are written of 800, 500 given up with their shards.",
        "Shard 3 (100 rows) was given up (data): rejects_over_budget: 3 of 100 rows were rejected",
        "2 more were given up.",
        &format!(
            "Mend the cause, and then run what was given up again with: nightshift retry --coordinator {} {RUN}",
            server.url()
        ),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let done = ask(&server, &["why", RUN, "--output-format", "json"]).run().expect(0);
    let document = json(&done);
    assert_eq!(flat(document["text"].as_str().unwrap()), text);
    assert_eq!(document["state"], "partial");
    assert_eq!(document["given_up"][0]["message"], message);
    assert_eq!(document["verdict"]["state"], "partial");
}

#[test]
fn a_shard_is_explained_in_plain_words() {
    let server = Server::start(Script::default().get(|get, _| {
        assert_eq!(get.shard, Some(ShardIndex(17)));
        Ok(FoundRun { shard: Some(leased()), ..only(going(&get.run, Running, 3, 200)) })
    }));
    let done = ask(&server, &["why", RUN, "17"]).run().expect(0);
    plain(&done);
    fits(&done);
    let text = flat(&done.stdout);
    assert_eq!(
        text,
        "Shard 17 of flights-2013-01-01-g1 (5,000 rows) is being worked on. Worker node-7:4711 \
         has held it for 1 minute 2 seconds (lease 3.44) and has read 1,200 of 5,000 rows. \
         2 attempts have failed. The last failure was one of the world outside: store_timeout: \
         the store did not answer for 30 s; it is tried again. Next: its worker commits it; if \
         the worker is not heard of for a lease time, another gets it."
    );
    let done = ask(&server, &["why", RUN, "17", "--output-format", "json"]).run().expect(0);
    let shard = &json(&done)["shard"];
    assert_eq!(shard["leases"][0]["worker"], "node-7:4711");
    assert_eq!(shard["leases"][0]["phase"], "scoring");
    assert_eq!(shard["last_failure"]["reason"], "store_timeout");
}

#[test]
fn a_shard_that_is_not_there_is_refused() {
    let server =
        Server::start(Script::default().get(|_, _| {
            Err(Status::invalid_argument("flights-2013-01-01-g1 has 8 shards, from 0"))
        }));
    let done = ask(&server, &["why", RUN, "8"]).run().expect(64);
    assert_eq!(done.errors(), ["error: flights-2013-01-01-g1 has 8 shards, from 0"]);
    for words in [&["why"][..], &["why", "flights"], &["why", RUN, "1000000"], &["why", RUN, "-1"]]
    {
        ask(&server, words).run().expect(64);
    }
    assert_eq!(server.count(|call| matches!(call, Call::Get(_))), 1);
}

#[test]
fn stored_documents_are_enough_for_a_part_of_it() {
    let spec = SpecText { rejects: Some("{ max_ratio: 0.0, min: 0 }"), ..SpecText::default() };
    let bench = Bench::with(&spec, "flights.jsonl", 400);
    let file = bench.path("in/flights.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    // The second of two shards has a row that cannot be scored.
    let (good, last) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(last.starts_with('{'));
    std::fs::write(&file, format!("{good}\n{{}}\n")).unwrap();
    nightshift(&["run", bench.spec().to_str().unwrap()]).run().expect(65);

    let output = bench.output().display().to_string();
    let why = |words: &[&str], exit| {
        let done = nightshift(&["why"]).args(words).args(["--output", &output]).run().expect(exit);
        plain(&done);
        flat(&done.stdout)
    };
    let run = "flights-all-g1";
    let text = why(&[run], 0);
    assert!(text.contains("Of its 2 shards, 1 is committed, 1 given up."), "{text}");
    assert!(text.contains("again with: nightshift run SPEC; it takes over"), "{text}");
    let text = why(&[run, "0"], 0);
    assert!(text.contains("Shard 0 of flights-all-g1 is committed, decided at "), "{text}");
    assert!(
        text.contains("read 200 rows, wrote 200 to all/gen=1/part-00000-of-00002.parquet"),
        "{text}"
    );
    let text = why(&[run, "1"], 0);
    assert!(text.contains("Shard 1 of flights-all-g1 was given up"), "{text}");
    assert!(text.contains("(data): rejects_over_budget: "), "{text}");
    why(&[run, "2"], 64);

    std::fs::remove_file(bench.output().join("_nightshift/v1/finals/all/g1.json")).unwrap();
    let text = why(&[run], 0);
    assert!(text.contains("It has no verdict: 2 of its 2 shards have a record."), "{text}");
    std::fs::remove_file(bench.output().join("_nightshift/v1/runs/flights-all-g1/plan.json"))
        .unwrap();
    let text = why(&[run], 0);
    assert!(text.contains("was claimed at ") && text.contains("It has no plan yet."), "{text}");

    let missing = nightshift(&["why", RUN, "--output", &output]).run().expect(66);
    assert!(missing.errors()[0].contains(RUN), "{missing}");
    let both = ["why", run, "--output", &output, "--coordinator", "http://127.0.0.1:1"];
    nightshift(&both).run().expect(64);
}

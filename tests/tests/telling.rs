//! Telling others of a run: real programs, a real service that misbehaves, and readers that know
//! nothing of Nightshift.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::hook::{Hook, Manner, Message};
use nightshift_tests::process::Program;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{store, tools};
use serde_json::{Value, json};

const ROWS: u64 = 1_000;
const RUN: &str = "flights-all-g1";
const SECRET_VARIABLE: &str = "NIGHTSHIFT_TEST_SECRET";
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A bench whose spec tells everybody: `hook` of the verdict, and files beside the spec.
fn bench(spec: &SpecText, hook: &Hook) -> Bench {
    let bench = Bench::with(spec, "flights.parquet", ROWS);
    let report = format!(
        "  report:\n    uri: \"reports/{{name}}\"\n    \
           webhook: {{ url: \"{}\", secret_env: {SECRET_VARIABLE} }}\n    \
           lineage: {{ uri: lineage.jsonl, namespace: tests }}\n",
        hook.url("/hook")
    );
    bench.write_spec(&format!("{}{report}", spec.yaml()));
    bench
}

fn run(bench: &Bench) -> Program {
    bench.run().env(SECRET_VARIABLE, SECRET)
}

fn report(bench: &Bench) -> Program {
    bench.command("report").env(SECRET_VARIABLE, SECRET)
}

fn page(bench: &Bench) -> PathBuf {
    bench.path("reports/flights").join(RUN).join("report.html")
}

/// What the OpenLineage classes read from the events of the bench.
fn events(bench: &Bench) -> Vec<Value> {
    let read = tools::script("lineage_events.py", [bench.path("lineage.jsonl")]);
    read.as_array().unwrap().clone()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The body of a message, if a receiver with the secret believes it.
fn verified(bench: &Bench, message: &Message) -> Value {
    let file = bench.path("message.json");
    fs::write(&file, json!({ "headers": message.headers, "body": message.body }).to_string())
        .unwrap();
    tools::script("webhook.py", [SECRET.into(), file.into_os_string()])
}

fn run_folder(bench: &Bench) -> PathBuf {
    bench.output().join("_nightshift/v1/runs").join(RUN)
}

/// Which channels are marked as told.
fn told(bench: &Bench) -> BTreeSet<String> {
    let names = store::names(&run_folder(bench).join("told"), "json").into_iter();
    names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn everything() -> BTreeSet<String> {
    ["lineage-end", "lineage-start", "report", "webhook"].map(str::to_owned).into()
}

#[test]
fn a_run_that_succeeds_tells_everybody_once() {
    let hook = Hook::start(Manner::Answers(204));
    let bench = bench(&SpecText::default(), &hook);
    let ended = run(&bench).run().expect(0);
    assert!(!ended.stderr.contains("could not be told"), "{ended}");

    let messages = hook.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0].path, "/hook");
    let body = verified(&bench, &messages[0]);
    assert_eq!(body["type"], "run.concluded");
    assert_eq!((&body["data"]["run"], &body["data"]["rows_out"]), (&RUN.into(), &ROWS.into()));
    assert_eq!(body["data"]["report"], page(&bench).to_str().unwrap());

    let events = events(&bench);
    assert_eq!(types(&events), ["START", "COMPLETE"]);
    assert_eq!(events[0]["run"], events[1]["run"]);
    for event in &events {
        assert_eq!((&event["job"], &event["read"]), (&"tests/flights".into(), &ROWS.into()));
        let columns: Vec<&str> =
            event["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        assert!(columns.contains(&"flight_id") && columns.contains(&"distance"), "{columns:?}");
    }
    assert_eq!(events[1]["written"], ROWS);

    let html = fs::read_to_string(page(&bench)).unwrap();
    assert!(html.contains("Every row has a prediction") && html.contains("Scores: "), "{html}");
    let json = fs::read(page(&bench).with_extension("json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["verdict"]["state"], "succeeded");
    assert_eq!(json["shards"]["scored"], 5);
    assert_eq!(json["effort"]["accounted"], 5);
    assert!(json["effort"]["load_s"].as_f64().unwrap() > 0.0, "{json}");

    // Nobody is told again, whoever looks.
    run(&bench).run().expect(0);
    report(&bench).run().expect(0);
    assert_eq!(hook.messages().len(), 1);
    assert_eq!(types(&self::events(&bench)), ["START", "COMPLETE"]);
    assert_eq!(told(&bench), everything());
    tools::audit(&bench.output(), 1);
    bench.command("verify").run().expect(0);
}

#[test]
fn a_run_with_given_up_shards_says_why() {
    let hook = Hook::start(Manner::Answers(200));
    let spec = SpecText {
        input: "in/*.csv".into(),
        rejects: Some("{ max_ratio: 0, min: 1 }"),
        ..SpecText::default()
    };
    let bench = bench(&spec, &hook);
    nightshift_tests::flights::write(&bench.path("in/flights.csv"), ROWS);
    let text = fs::read_to_string(bench.path("in/flights.csv")).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().skip(1).take(40) {
        line.push_str(",<script>alert(1)</script>");
    }
    fs::write(bench.path("in/flights.csv"), lines.join("\n")).unwrap();
    run(&bench).run().expect(65);
    let body = verified(&bench, &hook.messages()[0]);
    assert_eq!(body["data"]["state"], "partial", "{body}");
    assert!(body["data"]["reasons"][0].as_str().unwrap().contains("rejects_over_budget"), "{body}");
    let events = events(&bench);
    assert_eq!(types(&events), ["START", "FAIL"]);
    assert!(events[1]["error"].as_str().unwrap().starts_with("1 of 5 shards were given up"));
    let html = fs::read_to_string(page(&bench)).unwrap();
    assert!(html.contains("rejects_over_budget") && !html.contains("<script"), "{html}");
}

#[test]
fn nobody_who_listens_changes_what_a_run_comes_to() {
    for (manner, messages) in [
        // Refused for good; a redirect is not followed; the rest is repeated.
        (Manner::Answers(400), 1),
        (Manner::Answers(307), 1),
        (Manner::Answers(503), 4),
        (Manner::Drops, 4),
    ] {
        let hook = Hook::start(manner);
        let bench = bench(&SpecText::default(), &hook);
        // A file where the folder should be.
        fs::write(bench.path("reports"), "x").unwrap();
        let ended = run(&bench).run().expect(0);
        assert!(ended.stderr.contains("could not be told"), "{ended}");
        assert!(!ended.stderr.contains(SECRET) && !ended.stderr.contains("/hook"), "{ended}");
        assert_eq!(hook.messages().len(), messages, "{manner:?}");
        let ids: BTreeSet<String> =
            hook.messages().iter().map(|message| message.headers["webhook-id"].clone()).collect();
        assert_eq!(ids.len(), 1, "one identity, however often it is sent");
        assert_eq!(told(&bench), ["lineage-end", "lineage-start"].map(str::to_owned).into());

        // Who looks later finishes it.
        hook.behave(Manner::Answers(200));
        fs::remove_file(bench.path("reports")).unwrap();
        report(&bench).run().expect(0);
        assert_eq!(told(&bench), everything(), "{manner:?}");
        assert_eq!(hook.messages().len(), messages + 1);
        assert!(page(&bench).is_file());
        assert_eq!(types(&events(&bench)), ["START", "COMPLETE"], "told before");
    }
}

#[test]
fn a_message_without_its_secret_is_not_sent() {
    let hook = Hook::start(Manner::Answers(200));
    let bench = bench(&SpecText::default(), &hook);
    let ended = bench.run().run().expect(0);
    assert!(ended.stderr.contains("NIGHTSHIFT_TEST_SECRET is not set"), "{ended}");
    assert!(hook.messages().is_empty());
    report(&bench).run().expect(0);
    assert_eq!(hook.messages().len(), 1);
}

#[test]
fn what_a_killed_process_left_untold_is_told_later() {
    let hook = Hook::start(Manner::Hangs);
    let bench = bench(&SpecText::default(), &hook);
    let process = run(&bench).start();
    // The final is there, and the process waits for an answer.
    hook.wait_for(1);
    assert!(process.kill().was_killed());
    assert!(store::verdict(&bench.output(), "all", 1).is_some());
    assert!(!told(&bench).contains("webhook"));

    hook.behave(Manner::Answers(200));
    // Somebody else may still be at it, so who comes by leaves it alone; who asks does not.
    run(&bench).run().expect(0);
    assert!(!told(&bench).contains("webhook"));
    report(&bench).run().expect(0);
    assert_eq!(told(&bench), everything());
    let messages = hook.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].headers["webhook-id"], messages[1].headers["webhook-id"]);
    verified(&bench, &messages[1]);
}

#[test]
fn the_next_run_tells_what_was_never_begun() {
    let hook = Hook::start(Manner::Answers(200));
    let bench = bench(&SpecText::default(), &hook);
    run(&bench).run().expect(0);
    // As a process leaves it that dies right after its final.
    for marks in ["told", "tries"] {
        fs::remove_dir_all(run_folder(&bench).join(marks)).unwrap();
    }
    let before = fs::read(page(&bench)).unwrap();
    fs::remove_dir_all(bench.path("reports")).unwrap();
    run(&bench).run().expect(0);
    assert_eq!(told(&bench), everything());
    assert_eq!(fs::read(page(&bench)).unwrap(), before, "the same documents, the same page");
    let sent = hook.messages();
    assert_eq!((sent.len(), &sent[0].body), (2, &sent[1].body));
}

#[test]
fn of_many_processes_with_one_shard_each_one_tells() {
    const SHARDS: u32 = 4;
    let hook = Hook::start(Manner::Answers(200));
    let bench = bench(&SpecText::default(), &hook);
    let shards = SHARDS.to_string();
    let process = |index: u32| {
        Program::worker()
            .env(SECRET_VARIABLE, SECRET)
            .arg("--spec")
            .arg(bench.spec())
            .args(["--num-shards", &shards, "--shard-index", &index.to_string()])
            .start()
    };
    let running: Vec<_> = (0..SHARDS).map(process).collect();
    running.into_iter().for_each(|process| _ = process.finish().expect(0));
    assert_eq!(told(&bench), everything());
    assert_eq!(hook.messages().len(), 1);
    assert_eq!(types(&events(&bench)), ["START", "COMPLETE"]);
}

#[test]
fn a_coordinator_tells_others_and_the_next_one_what_it_left_untold() {
    let hook = Hook::start(Manner::Hangs);
    let bench = bench(&SpecText::default(), &hook);
    let text = fs::read_to_string(bench.spec()).unwrap();
    // The coordinator of the tests has no secret.
    bench.write_spec(&text.replace(&format!(", secret_env: {SECRET_VARIABLE}"), ""));
    let mut cluster = Cluster::start(bench, Setting::default());
    assert_eq!(cluster.submit("all"), RUN);
    cluster.add(cluster.worker());
    hook.wait_for(1);
    // Killed between a message and its mark, it would be sent again, which is another test's.
    let mut others = everything();
    others.remove("webhook");
    wait_for("all others are told", || (told(cluster.bench()) == others).then_some(()));
    cluster.coordinator().kill();
    cluster.wait_for_final("all", 1);
    assert!(page(cluster.bench()).is_file());
    assert!(!told(cluster.bench()).contains("webhook"));

    // As one leaves it that died before it began.
    fs::remove_dir_all(run_folder(cluster.bench()).join("tries")).unwrap();
    hook.behave(Manner::Answers(200));
    cluster.coordinator().restart();
    wait_for("everybody is told", || (told(cluster.bench()) == everything()).then_some(()));
    assert_eq!(hook.messages().len(), 2);
    assert_eq!(types(&events(cluster.bench())), ["START", "COMPLETE"]);
    let json = fs::read(page(cluster.bench()).with_extension("json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["effort"]["accounted"], 5, "{json}");
    assert!(json["effort"]["load_s"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn a_page_of_any_run_can_be_had() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    bench.run().run().expect(0);
    let page = bench.command("report").args(["--html", "-"]).run().expect(0).stdout;
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains(bench.path("in").to_str().unwrap()));
    let file = bench.path("page.html");
    bench.command("report").arg("--html").arg(&file).run().expect(0);
    assert_eq!(fs::read_to_string(file).unwrap(), page);
    let nowhere = bench.path("no/such/folder.html");
    bench.command("report").arg("--html").arg(&nowhere).run().expect(73);
}

#[test]
fn a_service_of_lineage_gets_events_too() {
    let hook = Hook::start(Manner::Answers(201));
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    let url = hook.url("/api/v1/lineage");
    let report = format!("  report: {{ lineage: {{ url: \"{url}\" }} }}\n");
    bench.write_spec(&format!("{}{report}", SpecText::default().yaml()));
    bench.run().run().expect(0);
    let messages = hook.messages();
    let lines: Vec<&str> = messages.iter().map(|message| &*message.body).collect();
    fs::write(bench.path("lineage.jsonl"), lines.join("\n")).unwrap();
    let mut events = events(&bench);
    assert_eq!(events[0]["job"], "flights/flights", "the namespace is the spec's name");
    events.sort_by_key(|event| event["type"] == "COMPLETE");
    assert_eq!(types(&events), ["START", "COMPLETE"]);
    assert!(messages.iter().all(|message| message.path == "/api/v1/lineage"));
}

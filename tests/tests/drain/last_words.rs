//! What each program leaves for whoever looks at its pod.

use std::path::Path;

use nightshift_tests::bench::Bench;
use nightshift_tests::hold::Hold;
use nightshift_tests::ports::free_port;
use nightshift_tests::process::Program;
use serde_json::Value;

use crate::{RUN, SHARDS, bench, drain, phase};

/// Longest message that Kubernetes keeps.
const MAX_BYTES: usize = 4096;

fn leaves(program: Program, file: &Path) -> Program {
    program.env("NIGHTSHIFT_TERMINATION_LOG", file)
}

fn words(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.len() <= MAX_BYTES && text.lines().count() == 1, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The words after `program` has ended with `code`.
fn after(program: Program, code: u8, file: &Path) -> Value {
    let done = leaves(program, file).run().expect(i32::from(code));
    let words = words(file);
    assert_eq!(words["exit"], code, "{done}");
    assert_eq!(words["version"], env!("CARGO_PKG_VERSION"));
    words
}

#[test]
fn every_program_says_how_it_ended() {
    let bench = bench();
    let file = bench.path("words.json");
    let said = after(bench.run(), 0, &file);
    assert_eq!((&said["program"], &said["reason"]), (&"nightshift".into(), &"completed".into()));
    assert_eq!(said["message"], Value::Null);
    let said = after(Program::nightshift().arg("frobnicate"), 64, &file);
    assert_eq!(said["reason"], "usage");
    assert!(said["message"].as_str().unwrap().contains("frobnicate"), "{said}");
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{address}");
    let silent = ["--coordinator", &url, "--give-up-after", "1s", "--run", RUN];
    let said = after(Program::worker().args(silent), 69, &file);
    let (program, run) = (&said["program"], &said["run"]);
    assert_eq!((program, run), (&"nightshift-worker".into(), &RUN.into()), "{said}");
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("has not answered") && message.contains("give it longer"), "{said}");
    let _taken = std::net::TcpListener::bind(&address).unwrap();
    let serve = ["--listen", &address, "--http", "127.0.0.1:0", "--home"];
    let said = after(Program::coordinator().args(serve).arg(bench.path("home")), 69, &file);
    assert_eq!(said["program"], "nightshift-coordinator");
    assert!(said["message"].as_str().unwrap().contains("name another address"), "{said}");
    let said = after(Program::sidecar().args(["--listen", &address]), 69, &file);
    assert_eq!(said["program"], "nightshift-sidecar");
}

#[test]
fn a_shard_that_is_given_up_is_named() {
    let bench = bench();
    let file = bench.path("words.json");
    let worker = |index: u32| {
        Program::worker().arg("--spec").arg(bench.spec()).args([
            "--shard-index",
            &index.to_string(),
            "--num-shards",
            &SHARDS.to_string(),
        ])
    };
    let said = after(worker(1).args(["--fail-shard", "1"]), 74, &file);
    assert_eq!((&said["run"], &said["reason"]), (&RUN.into(), &"io".into()), "{said}");
    assert!(said["message"].as_str().unwrap().contains("forced to fail"), "{said}");
    after(worker(1), 0, &file);
}

#[test]
fn a_process_that_is_cut_off_says_so() {
    let bench = bench();
    let hold = Hold::new(bench.path("hold"), phase("", "sync", "/attempts/").at);
    let file = bench.path("words.json");
    let run = leaves(hold.hold(bench.run()), &file).start();
    hold.wait_until_reached();
    drain(run, "run: cut off");
    let said = words(&file);
    assert_eq!(said["reason"], "drained");
    assert!(said["message"].as_str().unwrap().contains("cut off after 9 s"), "{said}");
}

#[test]
fn a_message_of_any_length_fits() {
    let bench = Bench::new();
    let file = bench.path("words.json");
    // A name that is repeated in the message, of many bytes a character.
    let long = "é\u{1}".repeat(3_000);
    let done = leaves(Program::nightshift().args(["run", &long]), &file).run();
    assert_ne!(done.code(), Some(0));
    let said = words(&file);
    assert!(said["message"].as_str().unwrap().ends_with('…'), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_changes_nothing() {
    let bench = bench();
    let nowhere = bench.path("no/such/folder/words.json");
    leaves(bench.run(), &nowhere).run().expect(0);
    assert!(!nowhere.exists());
}

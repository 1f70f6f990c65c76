//! The program itself: its flags, its signals, its exit codes.

use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::coordinator::{Coordinator, STEADY};
use crate::prepared::Prepared;
use crate::serving::Serving;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift-worker"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("NIGHTSHIFT_")) {
            command.env_remove(name);
        }
    }
    command
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_scores_a_run_and_says_what_it_did() {
    let prepared = Prepared::new(50);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let run = prepared.run().to_string();
    // In a pod the environment may say more than the command line means.
    let output = program()
        .args(["--exit-when-idle", "--workers", "2", "--run", &run, "--log", "info"])
        .env("NIGHTSHIFT_COORDINATOR", serving.url())
        .env("MODEL_VERSION", "v3")
        .env("SHARD_INDEX", "3")
        .output()
        .unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("17 shards with 842 rows committed"), "{said}");
    for (line, count) in [
        ("lease granted", 17),
        ("inference started", 17),
        ("shard committed", 17),
        ("worker ended", 1),
    ] {
        assert_eq!(said.matches(line).count(), count, "{line}: {said}");
    }
    prepared.expect_complete();
}

#[test]
fn sigterm_gives_leases_back_and_ends_with_75() {
    let prepared = Prepared::new(300);
    let serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    let child = program()
        .args(["--coordinator", &serving.url(), "--workers", "1", "--max-rows-per-second", "1"])
        .spawn()
        .unwrap();
    serving.coordinator.wait("a lease", |calls| calls.granted().first().copied());
    signal(&child, Signal::TERM);
    serving.coordinator.wait("the release", |calls| {
        calls.releases().find(|release| release.leaving && !release.leases.is_empty()).map(|_| ())
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", said(&output));
    assert_eq!(serving.coordinator.leased(), 0);
    assert_eq!(prepared.decided().len(), 0);
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let url = "http://127.0.0.1:1";
    for arguments in [
        &["--coordinator", url, "--spec", "spec.yaml"][..],
        &["--coordinator", url, "--input", "x.parquet"],
        &["--coordinator", url, "--date", "2013-01-01"],
        &["--coordinator", url, "--id", "flight_id"],
        &["--coordinator", url, "--tls-ca", "ca.pem"],
        &["--coordinator", "127.0.0.1:1"],
        &["--coordinator", url, "--run", "no-run"],
        &["--coordinator", url, "--max-rows-per-second", "0"],
        &["--coordinator", url, "--give-up-after", "0s"],
        &["--exit-when-idle"],
        &["--run", "flights-all-g1"],
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_silent_address_is_given_up_with_69_and_named() {
    let prepared = Prepared::new(400);
    let mut serving = Serving::start(Coordinator::new(&prepared, 1, STEADY));
    serving.kill();
    let output = program()
        .args(["--coordinator", &serving.url(), "--give-up-after", "1s"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains(&serving.url()), "{}", said(&output));
}

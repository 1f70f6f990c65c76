//! `deploy/samples` is what `nightshift render` prints.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Command;

/// A file and the arguments that print it.
const SAMPLES: [(&str, &[&str]); 7] = [
    ("job", &["job", "deploy/samples/flights.yaml", "--set", "date=2013-01-01"]),
    ("nightly", &["cronjob", "deploy/samples/flights.yaml"]),
    (
        "nightly-strict",
        &[
            "cronjob",
            "deploy/samples/flights.yaml",
            "--set",
            "variant=strict",
            "--set",
            "name=flights-nightly-strict",
        ],
    ),
    ("backfill", &["backfill", "deploy/samples/flights.yaml", "--set", "window=14d"]),
    (
        "backfill-coordinator",
        &[
            "backfill",
            "deploy/samples/flights.yaml",
            "--set",
            "via=coordinator",
            "--set",
            "name=flights-backfill-coordinator",
        ],
    ),
    (
        "indexed",
        &[
            "indexed",
            "deploy/samples/flights.yaml",
            "--set",
            "date=2013-01-01",
            "--set",
            "backoff=job",
        ],
    ),
    ("million", &["indexed", "deploy/samples/large.yaml", "--set", "completions=200"]),
];

#[test]
fn the_samples_are_what_is_rendered() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, arguments) in SAMPLES {
        let done = Command::new(env!("CARGO_BIN_EXE_nightshift"))
            .arg("render")
            .args(arguments)
            .current_dir(repository)
            .output()
            .unwrap();
        assert!(done.status.success(), "{name}: {done:?}");
        let printed = String::from_utf8(done.stdout).unwrap();
        let file = repository.join(format!("deploy/samples/{name}.yaml"));
        if std::env::var_os("NIGHTSHIFT_BLESS").is_some() {
            std::fs::write(&file, printed).unwrap();
            continue;
        }
        let committed = std::fs::read_to_string(&file).unwrap();
        assert_eq!(printed, committed, "{} is old: run `make samples`", file.display());
    }
}

#[test]
fn a_key_that_is_none_is_refused_with_the_nearest() {
    let done = Command::new(env!("CARGO_BIN_EXE_nightshift"))
        .args(["render", "job", "../deploy/samples/flights.yaml", "--set", "dat=2013-01-01"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(64), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("did you mean `date`?"), "{done:?}");
    assert!(done.stdout.is_empty(), "{done:?}");
}

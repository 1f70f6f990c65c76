//! `nightshift example` as a command: what it writes runs, and nothing of others is replaced.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Output};

fn nightshift(words: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nightshift")).args(words).current_dir(folder).output().unwrap()
}

#[test]
fn what_is_written_runs_and_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = nightshift(&["example", "flights"], folder.path());
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let spec = folder.path().join("flights/spec.yaml");
    let run = nightshift(&["run", "flights/spec.yaml", "--date", "2013-01-03"], folder.path());
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let before = std::fs::metadata(&spec).unwrap().modified().unwrap();
    let again = nightshift(&["example", "flights"], folder.path());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(std::fs::metadata(&spec).unwrap().modified().unwrap(), before);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.yaml");
    std::fs::write(&spec, "mine").unwrap();
    let done = nightshift(&["example", "."], folder.path());
    assert_eq!(done.status.code(), Some(73), "{done:?}");
    assert_eq!(std::fs::read_to_string(&spec).unwrap(), "mine");
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let done = nightshift(&["example", "file/below"], folder.path());
    assert!(matches!(done.status.code(), Some(73 | 74)), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("file"), "{done:?}");
}

#[test]
fn recent_days_are_found_by_a_backfill_and_laid_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = nightshift(&["example", "flights", "--recent", "3"], folder.path());
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let said = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(said.contains("nightshift backfill flights/spec.yaml --window 3d"), "{said}");
    // The real dates are there as ever.
    assert!(folder.path().join("flights/data/date=2013-01-14/flights.parquet").is_file());
    // A longer range, as of a later day, agrees with what lies there.
    let again = nightshift(&["example", "flights", "--recent", "5"], folder.path());
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    // At midnight of UTC a day more or less is there; the window is within in any case.
    let words = ["backfill", "flights/spec.yaml", "--window", "2d", "--until-done"];
    let done = nightshift(&words, folder.path());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(said.matches("succeeded").count(), 2, "{said}");
}

//! Tests of the lease table as conversations: files of events and the effects they must have,
//! and random histories that print such a conversation when they fail.

#![allow(clippy::unwrap_used, clippy::panic)]

mod dialogue;
mod history;
mod language;

use std::path::Path;

/// Set to rewrite the expected effects in place, to be read before they are committed.
const REWRITE: &str = "NIGHTSHIFT_REWRITE";

#[test]
fn every_dialogue_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut paths: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "the dialogues are missing from {}", folder.display());
    let rewrite = std::env::var_os(REWRITE).is_some();
    let mut differences = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let played = dialogue::play(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if played == text {
            continue;
        }
        if rewrite {
            std::fs::write(&path, &played).unwrap();
        }
        let name = path.file_name().unwrap().to_string_lossy();
        differences += &dialogue::first_difference(&name, &text, &played);
    }
    assert!(differences.is_empty() || rewrite, "{differences}set {REWRITE}=1 to accept this");
}

#[test]
fn a_dialogue_that_expects_something_else_is_noticed() {
    let text = "table shards=1\n> want w1 #1\n< grant w1 1.0/0\n";
    assert_eq!(dialogue::play(text).unwrap(), text);
    let wrong = text.replace("1.0/0", "1.0/1");
    assert_ne!(dialogue::play(&wrong).unwrap(), wrong);
    assert!(dialogue::play("table shards=1\n> wnat w1 #1\n").is_err());
    assert!(dialogue::play("table shards=1 shrads=2\n").is_err());
}

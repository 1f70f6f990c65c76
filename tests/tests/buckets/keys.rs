//! Keys that are rotated while a run goes on: the old one is refused, and the run finishes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nightshift_tests::bench::SpecText;
use nightshift_tests::s3_faults::{Fault, Faults, Request};

use crate::scene::{Environment, Lake, assert_said_no_secret, parts, with};

/// Requests with the new key until the old one is refused: those that were under way with the old
/// one have come by then.
const OVERLAP: usize = 30;
const SHARDS: usize = 50;

/// Writes a file as those do that rotate keys: whole, in the place of the old one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Runs a date; after its first record `rotate` is called with the new key. Gives how many
/// requests came with it after the old one was no longer taken.
fn rotated(
    lake: &Lake,
    environment: impl FnOnce(&str) -> Environment,
    mut rotate: impl FnMut(&str) + Send + 'static,
) -> usize {
    let (mut known, mut with_new) = (BTreeSet::from(["old-key".to_owned()]), 0);
    let late = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&late);
    let rule = move |request: &Request| {
        if request.target.starts_with("/v1/credentials") {
            return Some(Fault::HandsOutKeys);
        }
        let is_record = request.method == "PUT" && request.target.contains("/records/");
        if is_record && known.insert("new-key".to_owned()) {
            rotate("new-key");
        }
        let key = request.key_id().unwrap_or_default();
        with_new += usize::from(key == "new-key");
        if with_new == OVERLAP {
            known.remove("old-key");
        }
        if with_new > OVERLAP {
            *counted.lock().unwrap() += 1;
        }
        (!known.contains(key)).then_some(Fault::Refused(403, "InvalidAccessKeyId"))
    };
    let faults = Faults::start(&lake.s3, Box::new(rule));
    let mut environment = environment(&faults.url());
    environment.push(("AWS_ENDPOINT_URL", faults.url()));
    environment.push(("AWS_REGION", "us-east-1".to_owned()));
    let ran = with(lake.bench.run(), &environment).run().expect(0);
    assert_said_no_secret(&ran);
    assert_eq!(
        faults
            .seen()
            .iter()
            .filter(|(_, _, fault)| matches!(fault, Some(Fault::Refused(..))))
            .count(),
        0
    );
    *late.lock().unwrap()
}

fn lake() -> Lake {
    let spec = SpecText { sharding: format!("count: {SHARDS}"), ..SpecText::default() };
    Lake::new(&spec, "flights.parquet")
}

#[track_caller]
fn assert_whole(lake: &Lake, late: usize) {
    eprintln!("{late} requests after the old key was refused");
    assert!(late > 0, "the run was over before the old key was refused");
    assert_eq!(parts(&lake.audit().0, 1), SHARDS);
}

#[test]
fn a_profile_may_get_other_keys_while_a_run_goes_on() {
    let lake = lake();
    let file: PathBuf = lake.bench.path("credentials");
    let text = |key: &str| {
        format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = canary-secret\n")
    };
    replace(&file, &text("old-key"));
    let named = file.display().to_string();
    let late = rotated(
        &lake,
        |_| vec![("AWS_SHARED_CREDENTIALS_FILE", named)],
        move |key| replace(&file, &text(key)),
    );
    std::fs::remove_file(lake.bench.path("credentials")).unwrap();
    assert_whole(&lake, late);
}

/// The identity of a pod: its token is a file that is replaced, and shown to the agent of the node.
/// (The exchange of a web identity reads its file at each exchange likewise, and insists on TLS.)
#[test]
fn a_pod_may_get_another_token_while_a_run_goes_on() {
    let lake = lake();
    let file: PathBuf = lake.bench.path("token");
    replace(&file, "old-key");
    let named = file.display().to_string();
    let environment = |url: &str| {
        vec![
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", named),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/v1/credentials")),
        ]
    };
    let late = rotated(&lake, environment, move |key| replace(&file, key));
    assert_whole(&lake, late);
}

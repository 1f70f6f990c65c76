//! Where the programs under test are, and the files of the repository that tests use.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of the example with the flights.
pub fn example() -> PathBuf {
    repository().join("examples/flights")
}

/// The model of the example.
pub fn example_model() -> PathBuf {
    example().join("models/delay-mlp")
}

/// The `nightshift` command.
pub fn nightshift() -> PathBuf {
    built("nightshift")
}

/// The `nightshift-worker` command.
pub fn nightshift_worker() -> PathBuf {
    built("nightshift-worker")
}

/// The `nightshift-coordinator` command.
pub fn nightshift_coordinator() -> PathBuf {
    built("nightshift-coordinator")
}

/// The `nightshift-sidecar` command.
pub fn nightshift_sidecar() -> PathBuf {
    built("nightshift-sidecar")
}

/// A program beside the test programs, in the profile of the tests.
fn built(name: &str) -> PathBuf {
    // target/<profile>/deps/<test>
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is missing: test the whole workspace (`cargo nextest run --workspace`), or run `cargo build --workspace` first",
        program.display()
    );
    program
}

/// The release build of a program, where somebody has made one.
pub fn release(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(Path::parent).and_then(Path::parent).unwrap();
    Some(target.join("release").join(name)).filter(|program| program.is_file())
}

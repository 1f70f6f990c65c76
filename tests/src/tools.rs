//! Tools that are not written in Rust: the auditor, and readers that other people use.
//!
//! They need the Python environment at the root of the repository. Where it is missing the
//! test fails and says so; a check that is skipped is no check.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binaries::repository;
use crate::process::{Finished, Program};

/// The Python of the tests.
pub fn python() -> PathBuf {
    let python = repository().join(".venv/bin/python");
    assert!(python.is_file(), "{} is missing: run `make tools`", python.display());
    python
}

/// Runs a script of `tests/` and fails unless it exits 0; what it printed is JSON.
#[track_caller]
pub fn script<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Value {
    let path = repository().join("tests").join(name);
    let done = Program::new(python()).arg(path).args(arguments).run();
    explain_missing(&done);
    let done = done.expect(0);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

fn explain_missing(done: &Finished) {
    assert!(!done.stderr.contains("ModuleNotFoundError"), "run `make tools`: {done}");
}

/// Has the auditor judge `output` by its bytes; fails with its findings unless there are none,
/// and `runs` runs. Gives its counts.
#[track_caller]
pub fn audit(output: &Path, runs: u32) -> Value {
    audited(output, runs, &[])
}

/// As [`audit`], of an output whose runs may still be open.
#[track_caller]
pub fn audit_open(output: &Path, runs: u32) -> Value {
    audited(output, runs, &["--open-ok"])
}

#[track_caller]
fn audited(output: &Path, runs: u32, options: &[&str]) -> Value {
    let auditor = repository().join("tests/audit/audit.py");
    let runs = runs.to_string();
    let done = Program::new(python())
        .arg(auditor)
        .arg(output)
        .args(["--expect-runs", &runs])
        .args(options)
        .run();
    explain_missing(&done);
    assert_eq!(done.code(), Some(0), "the auditor has found faults: {done}");
    serde_json::from_str(&done.stdout).unwrap()
}

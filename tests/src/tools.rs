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

/// What a package of the Python environment of the tests holds at `path`.
pub fn site_package(path: &str) -> PathBuf {
    let environment = repository().join(".venv/lib");
    let found = std::fs::read_dir(environment).ok().into_iter().flatten().find_map(|python| {
        let found = python.ok()?.path().join("site-packages").join(path);
        found.exists().then_some(found)
    });
    found.unwrap_or_else(|| panic!("{path} is missing in .venv: run `make tools`"))
}

/// A program of the Python environment with model stores: they need other versions of packages than
/// the rest of the tests.
pub fn stores_program(name: &str) -> PathBuf {
    let program = repository().join(".venv-stores/bin").join(name);
    assert!(program.is_file(), "{} is missing: run `make tools`", program.display());
    program
}

/// Runs a script of `tests/stores`, which exits 0; gives what it printed.
#[track_caller]
pub fn stores_script<A: AsRef<OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = A>,
) -> String {
    let path = repository().join("tests/stores").join(name);
    let done = Program::new(stores_program("python")).arg(path).args(arguments).run();
    explain_missing(&done);
    done.expect(0).stdout
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

/// The exit code and the peak of memory of a command, with variables of its environment.
#[track_caller]
pub fn measure<A: AsRef<OsStr>>(
    words: impl IntoIterator<Item = A>,
    environment: &[(&'static str, String)],
) -> Value {
    let script = repository().join("tests/read/peak.py");
    let program = Program::new(python()).arg(script).args(words);
    let program =
        environment.iter().fold(program, |program, (name, value)| program.env(name, value));
    let done = program.run();
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

/// The `kubectl` on the path.
#[track_caller]
pub fn kubectl() -> Program {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let kubectl = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    let Some(kubectl) = kubectl.into_iter().find(|program| program.is_file()) else {
        panic!("kubectl is missing: run `make tools`, or install it (1.21 or newer)");
    };
    Program::new(kubectl)
}

/// What the kustomization in `folder` renders to.
#[track_caller]
pub fn kustomize(folder: &Path) -> String {
    kubectl().arg("kustomize").arg(folder).run().expect(0).stdout
}

fn explain_missing(done: &Finished) {
    assert!(!done.stderr.contains("ModuleNotFoundError"), "run `make tools`: {done}");
}

/// Has the auditor judge `output` by its bytes; fails with its findings unless there are none,
/// and `runs` runs. Gives its counts.
#[track_caller]
pub fn audit(output: &Path, runs: u32) -> Value {
    Audit::of(output).runs(runs).passes()
}

/// As [`audit`], of an output whose runs may still be open.
#[track_caller]
pub fn audit_open(output: &Path, runs: u32) -> Value {
    Audit::of(output).runs(runs).open().passes()
}

/// A question to the auditor.
#[derive(Debug)]
pub struct Audit(Program);

impl Audit {
    /// With this column as the identity of a row.
    #[must_use]
    pub fn id(self, column: &str) -> Self {
        Self(self.0.args(["--id", column]))
    }

    /// Of an output root.
    pub fn of(output: &Path) -> Self {
        let auditor = repository().join("tests/audit/audit.py");
        Self(Program::new(python()).arg(auditor).arg(output))
    }

    /// The input of `place` lies in `folder`, too.
    #[must_use]
    pub fn copy(self, place: &str, folder: &Path) -> Self {
        Self(self.0.arg("--copy").arg(format!("{place}={}", folder.display())))
    }

    /// Exactly so many runs must be there.
    #[must_use]
    pub fn runs(self, runs: u32) -> Self {
        Self(self.0.args(["--expect-runs", &runs.to_string()]))
    }

    /// Runs may be open, and may go on meanwhile.
    #[must_use]
    pub fn open(self) -> Self {
        Self(self.0.arg("--open-ok"))
    }

    /// No document that an earlier audit with the same file saw may have changed.
    #[must_use]
    pub fn memory(self, file: &Path) -> Self {
        Self(self.0.arg("--memory").arg(file))
    }

    /// The ledger at this port must not be ahead of the store.
    #[must_use]
    pub fn redis(self, port: u16) -> Self {
        Self(self.0.args(["--redis", &format!("127.0.0.1:{port}")]))
    }

    /// The ledger must have everything that the store has.
    #[must_use]
    pub fn redis_complete(self) -> Self {
        Self(self.0.arg("--redis-complete"))
    }

    /// The ledger may be the one of another root, which nobody believes.
    #[must_use]
    pub fn redis_foreign_ok(self) -> Self {
        Self(self.0.arg("--redis-foreign-ok"))
    }

    /// Fails with the findings unless there are none. Gives the counts.
    #[track_caller]
    pub fn passes(self) -> Value {
        let done = self.0.run();
        explain_missing(&done);
        assert_eq!(done.code(), Some(0), "the auditor has found faults: {done}");
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// Fails unless there are findings. Gives them.
    #[track_caller]
    pub fn fails(self) -> String {
        let done = self.0.run();
        explain_missing(&done);
        assert_eq!(done.code(), Some(1), "the auditor has found nothing: {done}");
        let answer: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done}"));
        answer["faults"].to_string()
    }
}

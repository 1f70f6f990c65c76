//! A table of things that must be refused, each with the words that say so.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{Bench, SpecText};
use crate::process::{Finished, Program};

/// Rows of the input of a case.
pub const ROWS: u64 = 40;

/// One thing that is refused.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it is, for whoever reads that it failed.
    pub name: &'static str,
    /// The documented exit code; see `nightshift_core::exit`.
    pub code: i32,
    /// What the message must hold: the thing and the remedy. `BENCH` stands for the folder.
    pub says: &'static [&'static str],
    /// Spoils a bench that was in order, and gives the command that must refuse it.
    pub spoil: fn(&Bench) -> Program,
}

/// A folder in which everything is in order: a spec, its input, and a copy of the model.
pub fn in_order() -> Bench {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", ROWS);
    let model = bench.path("model");
    fs::create_dir(&model).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(crate::binaries::example_model().join(file), model.join(file)).unwrap();
    }
    let here = crate::binaries::example_model().display().to_string();
    bench.write_spec(&SpecText::default().yaml().replace(&here, "model"));
    bench
}

/// Fails with the names of all cases that were not refused as they should be.
#[track_caller]
pub fn check(cases: &[Case]) {
    let mut faults = String::new();
    for case in cases {
        let bench = in_order();
        let program = (case.spoil)(&bench);
        let before = bench.contents();
        let ended = program.run();
        let after = bench.contents();
        let mut found = judge(case, &bench, &ended);
        let new: Vec<&PathBuf> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        if before != after {
            found.push(format!("it changed the folder; new is {new:?}"));
        }
        for fault in found {
            writeln!(faults, "{}: {fault}\n{ended}", case.name).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// What is wrong with the way in which `ended` was refused.
pub fn judge(case: &Case, bench: &Bench, ended: &Finished) -> Vec<String> {
    let mut faults = Vec::new();
    if ended.code() != Some(case.code) {
        faults.push(format!("the exit code is not {}", case.code));
    }
    let errors = ended.errors();
    if errors.len() != 1 {
        faults.push(format!("{} error lines instead of one", errors.len()));
    }
    let message = shown(bench, &ended.stderr);
    let error = message.lines().find(|line| line.starts_with("error:")).unwrap_or("no error line");
    eprintln!("{}: {} {error}", case.name, ended.code().unwrap_or(-1));
    for words in case.says.iter().filter(|words| !message.contains(**words)) {
        faults.push(format!("the message does not hold `{words}`"));
    }
    if ended.stderr.contains("panicked") || ended.stderr.contains("RUST_BACKTRACE") {
        faults.push("it panicked".to_owned());
    }
    if !ended.stdout.is_empty() {
        faults.push("it printed a result".to_owned());
    }
    faults
}

fn shown(bench: &Bench, text: &str) -> String {
    text.replace(bench.path("").to_str().unwrap().trim_end_matches('/'), "BENCH")
}

/// `nightshift run` after `old` in the spec was replaced by `new`.
pub fn with_spec(bench: &Bench, old: &str, new: &str) -> Program {
    let text = fs::read_to_string(bench.spec()).unwrap();
    assert!(text.contains(old), "the spec has no `{old}`");
    bench.write_spec(&text.replacen(old, new, 1));
    bench.command("run")
}

/// `nightshift run` after a file was changed.
pub fn with_file(bench: &Bench, file: &str, change: fn(&mut Vec<u8>)) -> Program {
    let path = bench.path(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    bench.command("run")
}

/// Cuts a file in half.
pub fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

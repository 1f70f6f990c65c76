//! The commands as people and scripts meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::binaries;
use nightshift_tests::process::{Finished, Program};
use serde_json::Value;

/// Commands that print a result, in an order in which each has something to print.
const COMMANDS: [&str; 6] = ["plan", "run", "status", "report", "verify", "doctor"];
const DATES: [&str; 2] = ["--dates", "2013-01-01..2013-01-14"];

/// `command` on the example's first dates, with an output of its own.
fn on_example(command: &str, bench: &Bench) -> Program {
    let spec = binaries::example().join("spec.yaml");
    Program::nightshift().arg(command).arg(spec).args(DATES).arg("--output").arg(bench.output())
}

/// Nothing in `text` moves a cursor or changes a colour.
#[track_caller]
fn plain(ended: &Finished) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{ended}");
    }
}

#[test]
fn help_tells_what_each_command_does() {
    let help = Program::nightshift().arg("--help").run().expect(0);
    plain(&help);
    for command in COMMANDS.iter().chain(&["completions"]) {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}: {help}");
        let own = Program::nightshift().args([command, "--help"]).run().expect(0);
        assert!(own.stdout.contains("Usage: nightshift "), "{own}");
        assert_eq!(own.stderr, "");
    }
    // The exit codes are part of the manual.
    for code in nightshift_core::exit::Exit::ALL {
        let line = format!("{:>2}  ", code.code());
        assert!(help.stdout.contains(&line), "{line}: {help}");
    }
    let worker = Program::worker().arg("--help").run().expect(0);
    for flag in ["--spec", "--shard-index", "--num-shards", "--input", "--output", "--model"] {
        assert!(worker.stdout.contains(flag), "{flag}: {worker}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef nightshift"),
        ("fish", "complete -c nightshift"),
    ] {
        let script = Program::nightshift().args(["completions", shell]).run().expect(0);
        assert!(script.stdout.contains(sign), "{script}");
        assert!(script.stdout.contains("verify"), "{script}");
        assert_eq!(script.stderr, "");
    }
}

#[test]
fn json_is_one_document_and_alone_on_standard_output() {
    let bench = Bench::new();
    for command in COMMANDS {
        let ended = on_example(command, &bench).args(["--output-format", "json"]).run().expect(0);
        plain(&ended);
        let document: Value = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{command}: {error}: {ended}"));
        assert!(document.is_object() || document.is_array(), "{ended}");
        assert_eq!(ended.stderr, "", "{command} has nothing to complain about");
    }
}

#[test]
fn json_stays_alone_when_everything_is_logged() {
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 400);
    for format in ["text", "json"] {
        let logged = ["--log", "trace", "--log-format", format, "--output-format", "json"];
        for command in COMMANDS {
            let ended = bench.command(command).args(logged).run().expect(0);
            plain(&ended);
            serde_json::from_str::<Value>(&ended.stdout)
                .unwrap_or_else(|error| panic!("{command}: {error}: {ended}"));
        }
    }
}

#[test]
fn tables_of_the_example_fit_a_terminal() {
    let bench = Bench::new();
    for command in COMMANDS.iter().chain(&["run", "plan"]) {
        let ended = on_example(command, &bench).run().expect(0);
        plain(&ended);
        let wide = |line: &&str| line.chars().count() > 80 && !tells_a_place(line);
        let wide: Vec<&str> = ended.stdout.lines().filter(wide).collect();
        assert!(wide.is_empty(), "{command} prints lines of more than 80 columns: {wide:#?}");
    }
}

/// Paths of this machine are as long as they are.
fn tells_a_place(line: &str) -> bool {
    line.contains(" /") || line.contains("digest")
}

#[test]
fn a_mistake_on_the_command_line_is_a_usage_error() {
    for words in [
        &["rnu"][..],
        &["run"],
        &["run", "spec.yaml", "--wrokers", "2"],
        &["run", "spec.yaml", "--workers", "0"],
        &["run", "spec.yaml", "--date", "2013-01-01", "--dates", "2013-01-01..2013-01-02"],
        &["completions", "tcsh"],
    ] {
        let ended = Program::nightshift().args(words).run().expect(64);
        assert_eq!(ended.errors().len(), 1, "{words:?}: {ended}");
        assert_eq!(ended.stdout, "", "{words:?}");
        plain(&ended);
    }
}

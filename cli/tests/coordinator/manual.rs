//! `--help` as a manual, and completions.

use crate::fixtures::{nightshift, plain};

#[test]
fn each_command_has_a_manual() {
    for (command, marks) in [
        ("submit", &["--wait", "--force", "--reason", "--dry-run", "--dates", "Ctrl-C"][..]),
        ("top", &["--output", "--interval", "--once", "--name", "--limit"]),
        ("status", &["SPEC|RUN", "--watch", "--unfinished", "--limit", "--name"]),
        ("why", &["SHARD", "--output", "what to do"]),
        ("cancel", &["--yes", "--reason", "What is committed stays"]),
        ("retry", &["--wait", "takes over what is committed"]),
    ] {
        let done = nightshift(&[command, "--help"]).run().expect(0);
        plain(&done);
        let common = ["--coordinator <URL>", "NIGHTSHIFT_COORDINATOR", "--give-up-after", "10m"];
        for mark in marks.iter().chain(&common) {
            assert!(done.stdout.contains(mark), "{mark}: {done}");
        }
        assert!(done.stdout.contains("--output-format"), "{done}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = nightshift(&["completions", shell]).run().expect(0);
        for command in ["submit", "why", "cancel", "retry", "give-up-after"] {
            assert!(done.stdout.contains(command), "{shell} {command}");
        }
    }
}

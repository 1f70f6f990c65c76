//! The flags of `nightshift lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use nightshift_manifests::lint::Version;

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormatArg {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// YAML files; a folder means every *.yaml and *.yml in it, `-` standard input
    #[arg(value_name = "FILES", required_unless_present = "rules", value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,

    /// Mend what has one right answer; comments and layout stay as they are
    #[arg(long)]
    pub(crate) fix: bool,

    /// With --fix: show what would be changed as a diff, and change nothing
    #[arg(long, requires = "fix")]
    pub(crate) dry_run: bool,

    /// The Kubernetes that the files are meant for
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub(crate) kubernetes_version: Version,

    /// List the rules: how bad each is, what it finds, and whether --fix mends it
    #[arg(long, conflicts_with_all = ["files", "fix"])]
    pub(crate) rules: bool,

    /// Print findings as text, as one JSON document, or as SARIF
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub(crate) output_format: LintFormatArg,
}

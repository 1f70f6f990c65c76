//! The flags of `nightshift report`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::LookArgs;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Write the report of one date as a page of HTML into a file; `-` is standard output
    ///
    /// The page is one file that fetches nothing: it can be mailed, kept and printed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "output_format")]
    pub(crate) html: Option<PathBuf>,
}

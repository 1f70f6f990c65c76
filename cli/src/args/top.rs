//! Flags of `nightshift top`.

use clap::{Args, ValueHint};
use nightshift_core::ids::SpecName;

use super::FormatArgs;
use super::coordinator::{CoordinatorArgs, RUNS_MAX};
use crate::span::Span;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,

    /// Ask no coordinator: read the documents in this output folder again and again
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "coordinator")]
    pub(crate) output: Option<String>,

    /// Time between two looks, from 100ms, as 500ms, 1s or 1m
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) interval: Span,

    /// Look once, print what is there as lines, and end
    #[arg(long)]
    pub(crate) once: bool,

    /// Runs of the spec with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<SpecName>,

    /// Runs that have no verdict yet
    #[arg(long)]
    pub(crate) unfinished: bool,

    /// At most so many runs, the newest
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

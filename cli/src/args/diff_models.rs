//! Flags of `diff-models`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_worker::front::args::DateArgs;

use super::FormatArgs;

#[derive(Debug, Args)]
pub(crate) struct DiffModelsArgs {
    /// The spec file (YAML), which says what the rows are
    #[arg(value_name = "SPEC", value_hint = ValueHint::FilePath)]
    pub(crate) spec: PathBuf,

    /// The model that is in use: its folder, or a reference as in `spec.model.uri`
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::DirPath)]
    pub(crate) model_a: String,

    /// The model that may replace it
    #[arg(long, value_name = "MODEL", value_hint = ValueHint::DirPath)]
    pub(crate) model_b: String,

    /// How many shards to draw, as in 20-shards
    #[arg(long, value_name = "N-shards", default_value = "20-shards", value_parser = sample)]
    pub(crate) sample: u32,

    /// Scores that are at most so far apart agree
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, value_parser = distance)]
    pub(crate) tolerance: f64,

    /// Count rows that change sides of this score; 0.5 if all scores are from 0 to 1, else 0
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = finite)]
    pub(crate) threshold: Option<f64>,

    /// Use this input instead of the spec's: a file, folder or glob; may hold {date}
    #[arg(long, env = "NIGHTSHIFT_INPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) input: Option<String>,

    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// Also write the result to this file, as JSON; one that exists is replaced
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

fn sample(text: &str) -> Result<u32, String> {
    let count = text.strip_suffix("-shards").or_else(|| text.strip_suffix("-shard"));
    match count.unwrap_or(text).parse() {
        Ok(count @ 1..) => Ok(count),
        _ => Err("write a number of shards, as in 20-shards".to_owned()),
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("write a number".to_owned())
}

fn distance(text: &str) -> Result<f64, String> {
    finite(text).ok().filter(|by| *by >= 0.0).ok_or("write a number from 0".to_owned())
}

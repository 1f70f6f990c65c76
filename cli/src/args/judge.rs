//! Flags of `approve` and `reject`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_core::gates::REASON_MAX_CHARS;

use super::FormatArgs;

#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The run, or a date of the spec, whose newest generation it then is; `all` for a spec
    /// without dates
    #[arg(value_name = "RUN|DATE")]
    pub(crate) target: String,

    /// The spec file; not needed for a run if --output says where it is
    #[arg(value_name = "SPEC", value_hint = ValueHint::FilePath, required_unless_present = "output")]
    pub(crate) spec: Option<PathBuf>,

    /// The output folder, instead of the spec's
    #[arg(long, env = "NIGHTSHIFT_OUTPUT", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<String>,

    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why, in a few words".to_owned());
    }
    if text.chars().count() > REASON_MAX_CHARS {
        return Err(format!("use at most {REASON_MAX_CHARS} characters"));
    }
    Ok(text.to_owned())
}

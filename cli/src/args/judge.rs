//! Flags of `approve` and `reject`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_core::exit::Exit;
use nightshift_core::gates::REASON_MAX_CHARS;
use nightshift_worker::front::args::CommitArgs;
use nightshift_worker::front::failure::Failure;

use super::FormatArgs;
use super::coordinator::{CoordinatorArgs, OUTPUT_VARIABLE};
use crate::coordinator::Address;

#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The run, or a date of the spec, whose newest generation it then is; `all` for a spec
    /// without dates
    #[arg(value_name = "RUN|DATE")]
    pub(crate) target: String,

    /// The spec file; not needed for a run if --output or --coordinator says where it is
    #[arg(value_name = "SPEC", value_hint = ValueHint::FilePath)]
    pub(crate) spec: Option<PathBuf>,

    /// The output folder, instead of the spec's [env: NIGHTSHIFT_OUTPUT]
    // The variable is read by `output`: beside --coordinator it says nothing, and the flag is refused.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "coordinator")]
    output: Option<String>,

    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

impl JudgeArgs {
    /// The coordinator that decides; none if this process does, with the output at hand: without
    /// the flag, and where a spec or a folder says which output.
    pub(crate) fn address(&self) -> Result<Option<Address>, Failure> {
        if let Some(address) = &self.coordinator.coordinator {
            return Ok(Some(address.clone()));
        }
        if self.spec.is_some() || self.output().is_some() {
            return Ok(None);
        }
        let address = self.coordinator.named_address()?;
        address.map(Some).ok_or_else(|| {
            let text = "say where the run is: name its SPEC, --output DIR or --coordinator URL";
            Failure::new(Exit::Usage, text)
        })
    }

    /// The flag, else the variable.
    pub(crate) fn output(&self) -> Option<String> {
        let variable = || std::env::var(OUTPUT_VARIABLE).ok().filter(|text| !text.is_empty());
        self.output.clone().or_else(variable)
    }
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

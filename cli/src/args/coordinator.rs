//! Flags of the commands that talk to a coordinator.

use clap::{Args, ValueHint};
use nightshift_core::exit::Exit;
use nightshift_core::ids::{RunId, ShardIndex, SpecName};
use nightshift_core::plan::SHARDS_MAX;
use nightshift_worker::front::args::{DateArgs, SpecArgs};
use nightshift_worker::front::dates::DateArg;
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::tls::TlsArgs;
use std::path::{Path, PathBuf};

use super::FormatArgs;
use super::backfill::{RedisArgs, ReprocessArg};
use crate::coordinator::{Address, Patience};
use crate::span::Span;

/// Variable with the coordinator's address.
const ADDRESS_VARIABLE: &str = "NIGHTSHIFT_COORDINATOR";
/// Variable with the output folder, of every command that takes a spec.
pub(super) const OUTPUT_VARIABLE: &str = "NIGHTSHIFT_OUTPUT";

/// Most runs that one table shows: more than anybody reads.
pub(super) const RUNS_MAX: i64 = 10_000;

#[derive(Debug, Args)]
pub(crate) struct CoordinatorArgs {
    /// Address of the coordinator, as http://HOST:PORT or https://HOST:PORT
    /// [env: NIGHTSHIFT_COORDINATOR] [default: http://127.0.0.1:7070]
    // The variable is read by `address`, so that it can be told from the flag.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) coordinator: Option<Address>,

    /// How long a coordinator may not answer, as 30s, 10m or 2h
    /// [default: 10s; 10m for a command that waits and has had an answer]
    #[arg(long, env = "NIGHTSHIFT_GIVE_UP_AFTER", value_name = "TIME")]
    pub(crate) give_up_after: Option<Span>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

impl CoordinatorArgs {
    /// The flag, else the variable, else this machine.
    pub(crate) fn address(&self) -> Result<Address, Failure> {
        Ok(self.named_address()?.unwrap_or_default())
    }

    /// The flag, else the variable; none if neither is given.
    pub(crate) fn named_address(&self) -> Result<Option<Address>, Failure> {
        if let Some(address) = &self.coordinator {
            return Ok(Some(address.clone()));
        }
        match std::env::var(ADDRESS_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse().map(Some).map_err(|error| {
                Failure::new(Exit::Usage, format_args!("{ADDRESS_VARIABLE}: {error}"))
            }),
            _ => Ok(None),
        }
    }

    pub(crate) fn patience(&self, waits: bool) -> Patience {
        Patience::new(self.give_up_after.map(|Span(bound)| bound), waits)
    }
}

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,
    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,

    /// Wait for the verdict of every date, with progress
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,

    /// Run dates that are done again, as a new generation; the old one stays
    #[arg(long)]
    pub(crate) force: bool,

    /// Why, for whoever reads the claim later
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub(crate) reason: Option<String>,

    /// Only show what the coordinator would do
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// A spec file: look into its output; a run: ask the coordinator for it; nothing: for all
    /// of its runs
    #[arg(value_name = "SPEC|RUN", value_hint = ValueHint::FilePath)]
    pub(crate) target: Option<String>,

    /// Use this input instead of the spec's: a file, folder or glob; may hold {date}
    #[arg(long, env = "NIGHTSHIFT_INPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) input: Option<String>,

    /// Use this model folder instead of the spec's
    #[arg(long, env = "NIGHTSHIFT_MODEL", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) model: Option<String>,

    /// Use this output folder instead of the spec's
    #[arg(long, env = "NIGHTSHIFT_OUTPUT", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<String>,

    /// Use this model version instead of the spec's
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    pub(crate) model_version: Option<String>,

    #[command(flatten)]
    pub(crate) dates: DateArgs,
    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,

    /// Runs of the coordinator that have no verdict yet
    #[arg(long)]
    pub(crate) unfinished: bool,

    /// Runs of the coordinator of the spec with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<SpecName>,

    /// At most so many runs of the coordinator, the newest
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    pub(crate) limit: u32,

    /// Follow the coordinator until Ctrl-C, or the run until its verdict
    #[arg(long)]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

impl StatusArgs {
    /// The flags of a look into the output of `spec`.
    pub(crate) fn spec_args(&self, spec: &str) -> SpecArgs {
        SpecArgs {
            spec: PathBuf::from(spec),
            input: self.input.clone(),
            model: self.model.clone(),
            output: self.output.clone(),
            model_version: self.model_version.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The run, as `nightshift status` names it; or a spec file, for one of its dates
    #[arg(value_name = "RUN|SPEC", value_hint = ValueHint::FilePath)]
    pub(crate) target: String,

    /// One of the run's shards, from 0; or the date: YYYY-MM-DD, today or yesterday
    #[arg(value_name = "SHARD|DATE")]
    pub(crate) part: Option<String>,

    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,

    /// Ask no coordinator: read the documents in this output folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "coordinator")]
    pub(crate) output: Option<String>,

    /// Use this input instead of the spec's: a file, folder or glob; may hold {date}
    #[arg(long, env = "NIGHTSHIFT_INPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) input: Option<String>,

    /// Use this model instead of the spec's
    #[arg(long, env = "NIGHTSHIFT_MODEL", value_name = "MODEL", value_hint = ValueHint::DirPath)]
    pub(crate) model: Option<String>,

    /// Use this model version instead of the spec's
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    pub(crate) model_version: Option<String>,

    /// What a backfill with this --reprocess would do about the date [default: the spec's
    /// backfill.reprocess]
    #[arg(long, value_name = "WHEN")]
    pub(crate) reprocess: Option<ReprocessArg>,

    #[command(flatten)]
    pub(crate) redis: RedisArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// What `nightshift why` is asked about.
#[derive(Debug)]
pub(crate) enum WhyTarget {
    /// A run, or one of its shards.
    Run(RunId, Option<ShardIndex>),
    /// A date of a spec; none for a spec without dates.
    Date(SpecArgs, Option<DateArg>),
}

impl WhyArgs {
    /// What is asked about.
    pub(crate) fn target(&self) -> Result<WhyTarget, Failure> {
        let usage = |text: String| Failure::new(Exit::Usage, text);
        let shown = |text: &str| text.chars().take(80).collect::<String>();
        if let Ok(run) = self.target.parse::<RunId>() {
            let shard = |text: &String| {
                text.parse().ok().filter(|shard| *shard < SHARDS_MAX).map(ShardIndex).ok_or_else(
                    || {
                        let text = shown(text);
                        usage(format!("`{text}` is no shard of {run}; write its number, from 0"))
                    },
                )
            };
            let shard = self.part.as_ref().map(shard).transpose()?;
            return Ok(WhyTarget::Run(run, shard));
        }
        let target = shown(&self.target);
        if self.target.parse::<DateArg>().is_ok() {
            return Err(usage(format!(
                "{target} is a date of many specs; name the spec too: nightshift why SPEC {target}"
            )));
        }
        if !self.target.contains(['/', '.']) && !Path::new(&self.target).exists() {
            return Err(usage(format!(
                "`{target}` is neither a run id such as flights-2013-01-31-g1 nor a spec file; `nightshift status` lists the runs of the coordinator"
            )));
        }
        let date = self.part.as_ref().map(|text| text.parse()).transpose();
        Ok(WhyTarget::Date(self.spec_args(), date.map_err(|error| usage(format!("{error}")))?))
    }

    fn spec_args(&self) -> SpecArgs {
        // As a flag it says that no coordinator is asked; as a variable it does not.
        let variable = || std::env::var(OUTPUT_VARIABLE).ok().filter(|text| !text.is_empty());
        SpecArgs {
            spec: PathBuf::from(&self.target),
            input: self.input.clone(),
            model: self.model.clone(),
            output: self.output.clone().or_else(variable),
            model_version: self.model_version.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run, as `nightshift status` names it
    #[arg(value_name = "RUN")]
    pub(crate) run: RunId,

    /// Why, for whoever reads the verdict later
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    /// Do not ask; without a terminal nothing is asked anyway
    #[arg(long, short)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The run that ended partial or failed, as `nightshift status` names it
    #[arg(value_name = "RUN")]
    pub(crate) run: RunId,

    /// Wait for the verdict, with progress
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

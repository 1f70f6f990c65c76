//! Flags that both command lines have.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_core::holder::CommitMode;
use nightshift_storage::deciding::Deciding;
use nightshift_telemetry::{Exporting, LogFormat, Sends};

use super::dates::{DateArg, DatesArg};
use super::failure::Failure;

/// How to log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How much to log to standard error: error, warn, info, debug, trace, or a filter
    /// such as `nightshift_worker=debug`
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    pub log: String,

    /// Log as text for people or as JSON lines for machines
    #[arg(
        long,
        global = true,
        env = "NIGHTSHIFT_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

impl LogArgs {
    /// Begins to log to standard error.
    ///
    /// # Errors
    /// If the filter cannot be understood.
    pub fn init(&self) -> Result<(), Failure> {
        Ok(nightshift_telemetry::init(self.log_format, &self.log)?)
    }

    /// Begins to log to standard error, and to send traces and metrics of `service` if the
    /// `OTEL_…` variables say where. What is left is sent when the result is dropped.
    ///
    /// # Errors
    /// If the filter cannot be understood.
    pub fn init_exporting(&self, service: &'static str) -> Result<Exporting, Failure> {
        let sends = Sends::TracesAndMetrics;
        Ok(nightshift_telemetry::init_exporting(self.log_format, &self.log, service, sends)?)
    }
}

/// Which spec, and what to use instead of its places.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// The spec file (YAML); paths in it are relative to its folder
    #[arg(value_name = "SPEC", value_hint = ValueHint::FilePath)]
    pub spec: PathBuf,

    /// Use this input instead of the spec's: a file, folder or glob; may hold {date}
    #[arg(long, env = "NIGHTSHIFT_INPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub input: Option<String>,

    /// Use this model instead of the spec's: a folder, s3://…, hf://org/name@revision,
    /// models:/name@alias or models:/name/version
    #[arg(long, env = "NIGHTSHIFT_MODEL", value_name = "MODEL", value_hint = ValueHint::DirPath)]
    pub model: Option<String>,

    /// Use this output folder instead of the spec's
    #[arg(long, env = "NIGHTSHIFT_OUTPUT", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<String>,

    /// Use this model version instead of the spec's
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    pub model_version: Option<String>,
}

/// Who decides what is written once.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Who says which of two creates came first: store, by the condition that a create carries; or
    /// coordinator, for a bucket whose store ignores conditions: then this process decides, and
    /// must be the only one that writes there
    #[arg(long, env = "NIGHTSHIFT_COMMIT_MODE", default_value_t, value_name = "WHO")]
    pub commit_mode: CommitMode,
}

impl CommitArgs {
    /// How this process decides, known to people as `who`; what it does not promise in `output`
    /// is said on standard error.
    ///
    /// # Errors
    /// An unusable location.
    pub fn deciding(&self, who: String, output: &str) -> Result<Deciding, Failure> {
        let deciding = Deciding::new(self.commit_mode, who);
        if let Some(warning) = deciding.warning(Some(output))? {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "{warning}");
        }
        Ok(deciding)
    }
}

/// Which dates.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct DateArgs {
    /// One date: YYYY-MM-DD, today or yesterday (in the spec's backfill.timezone)
    #[arg(long, env = "NIGHTSHIFT_DATE", value_name = "DATE")]
    pub date: Option<DateArg>,

    /// A range of dates, both ends included, as in 2013-01-01..2013-01-14
    #[arg(long, value_name = "FROM..TO")]
    pub dates: Option<DatesArg>,
}

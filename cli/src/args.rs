//! The command line: every flag, and the manual that `--help` prints.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use nightshift_worker::front::args::{DateArgs, LogArgs, SpecArgs};

mod backfill;
mod coordinator;
mod example;
mod lint;
mod render;

pub(crate) use backfill::{BackfillArgs, RedisArgs};
pub(crate) use coordinator::{CancelArgs, RetryArgs, StatusArgs, SubmitArgs, WhyArgs};
pub(crate) use example::ExampleArgs;
pub(crate) use lint::{LintArgs, LintFormatArg};
pub(crate) use render::RenderArgs;

/// Batch inference that finishes exactly once.
///
/// Reads a table, scores every row with a model and writes predictions, shard by shard; what
/// is committed is never computed twice, whatever crashes. The spec is one YAML file; on a
/// laptop `nightshift run` needs nothing else. `submit`, `why`, `cancel` and `retry` ask a
/// coordinator, whose workers share the shards of a run.
#[derive(Debug, Parser)]
#[command(name = "nightshift", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

const AFTER_HELP: &str = "\
Exit codes:
   0  done and confirmed
   1  lint found errors
  64  the command line is wrong
  65  data beyond the error budget, or unreadable
  66  input is missing
  69  the coordinator or the store is unavailable
  70  a bug; please report it
  73  the output cannot be created
  74  reading or writing failed
  75  drained or interrupted; run it again
  77  permission denied, or a read-only output
  78  spec, model or configuration is wrong

Settings come from flags, then NIGHTSHIFT_* variables, then the spec.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Score one or more dates on this machine; dates that are done are skipped
    Run(RunArgs),
    /// Show what a run would do: shards and rows of each date; writes nothing
    Plan(LookArgs),
    /// Do the next missing thing of the last days, once; for cron, a CronJob, or by hand
    ///
    /// Looks at the dates of a window and works on the first one that is missing, failed or
    /// stale; dates that are done are skipped. It may be started at any time, from any number of
    /// places: one process does the work, the others say so and end with 0. With --redis it asks
    /// the ledger first, which takes milliseconds; without one, or when Redis is away, the output
    /// says what is done.
    ///
    /// A run that a dead process left is gone on with. A date that ended partial or failed is
    /// tried again twice. With --coordinator the coordinator decides and its workers work.
    ///
    /// Exit codes: 0 done, nothing to do, or somebody else works; 65 a date ended partial or
    /// failed, or cannot be read; 66 a date that was named has no input; 69 neither ledger nor
    /// output can say how things stand; 75 drained.
    Backfill(BackfillArgs),
    /// Hand dates to a coordinator, whose workers run them; dates that are done are skipped
    ///
    /// The coordinator gets the spec as it is in the file, and the folder that its relative
    /// paths begin in: coordinator and workers must see the same places. Each date becomes a
    /// run, whose id is printed, with what was done: `started` a new run, `joined` one that was
    /// under way, or `done` before.
    ///
    /// With --wait the command ends when every run has its verdict: 0 if all succeeded, 65 if
    /// one ended partial or failed. A coordinator that is begun again meanwhile is waited for.
    /// Ctrl-C ends the wait (75), never the runs.
    Submit(SubmitArgs),
    /// Show the state of each date in the output, or of the coordinator's runs
    ///
    /// `status SPEC` looks into the output of the spec and asks nobody. `status` asks the
    /// coordinator for its runs, newest first, and `status RUN` for one of them.
    ///
    /// With --watch it goes on: on a terminal the table is drawn again, elsewhere each change
    /// is a line. A run that is named ends it with its verdict, and with the exit code of
    /// `submit --wait`.
    Status(StatusArgs),
    /// Say in plain words how a run stands, or one of its shards
    ///
    /// What state it is in and since when, who holds it, what failed and what to do, and what
    /// happens next.
    Why(WhyArgs),
    /// End a run of the coordinator: every undecided shard is given up
    ///
    /// What is committed stays. The run gets its verdict, partial or failed, and `retry` runs
    /// what was given up. A run that has its verdict already is left as it is.
    Cancel(CancelArgs),
    /// Run the shards again that a run of the coordinator gave up
    ///
    /// As a new generation, which takes over what is committed. For runs that ended partial or
    /// failed.
    Retry(RetryArgs),
    /// Show the report of a finished run
    Report(LookArgs),
    /// Re-hash and re-count the output of finished runs against plan and records
    Verify(LookArgs),
    /// Check spec, model, input and output, and say what is wrong
    Doctor(LookArgs),
    /// Look for the usual mistakes of batch work in the YAML of any Job or CronJob
    ///
    /// Asks no cluster. The exit code is 1 if there is an error, 0 if there are only warnings.
    /// A comment `# nightshift:ignore RULE reason` on the line of a finding, or above it,
    /// silences it.
    Lint(LintArgs),
    /// Write the flights example into a folder: spec, model and two weeks of real flights
    ///
    /// For a first try, also inside a pod, where nobody can copy files. Calling it again changes
    /// nothing; a file that differs from the example's is left alone.
    Example(ExampleArgs),
    /// Print Kubernetes YAML for a spec: complete, and the same for the same command
    ///
    /// `job`, `cronjob` and `indexed` need no coordinator: the spec goes into a ConfigMap, and
    /// pods see the volume of a PersistentVolumeClaim at /data. `coordinator` shows the Job that a
    /// coordinator makes for a run of this spec, to be looked at before it is submitted.
    Render(RenderArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormatArg {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Print the result as text or as one JSON document
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub(crate) output_format: OutputFormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// Inference threads; by default the cores that this process may use
    #[arg(long, env = "NIGHTSHIFT_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Run dates that are done again, as a new generation; the old one stays
    #[arg(long)]
    pub(crate) force: bool,

    /// Leave out every sync to disk, to measure what they cost; a power failure then loses data
    #[arg(long, hide = true)]
    pub(crate) without_sync: bool,

    /// Only show what would be done, like `nightshift plan`
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// The flags of every command that looks and changes nothing.
#[derive(Debug, Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

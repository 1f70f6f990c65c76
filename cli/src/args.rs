//! The command line: every flag, and the manual that `--help` prints.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use nightshift_worker::front::args::{CommitArgs, DateArgs, LogArgs, SpecArgs};
use nightshift_worker::front::memory::MemoryArgs;
use nightshift_worker::front::rehearsal::RehearsalArgs;

mod backfill;
mod coordinator;
mod diff_models;
mod example;
mod judge;
mod keeping;
mod lint;
mod plan;
mod render;
mod report;
mod top;

pub(crate) use backfill::{BackfillArgs, RedisArgs};
pub(crate) use coordinator::{CancelArgs, RetryArgs, StatusArgs, SubmitArgs, WhyArgs, WhyTarget};
pub(crate) use diff_models::DiffModelsArgs;
pub(crate) use example::ExampleArgs;
pub(crate) use judge::JudgeArgs;
pub(crate) use keeping::{GcArgs, ReplayArgs, VerifyArgs};
pub(crate) use lint::{LintArgs, LintFormatArg};
pub(crate) use plan::PlanArgs;
pub(crate) use render::RenderArgs;
pub(crate) use report::ReportArgs;
pub(crate) use top::TopArgs;

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
    ///
    /// With --resources: how much memory a worker needs with 1 to 16 threads, whether the memory
    /// limit in `spec.workers.resources` is enough, and what to write there. It is computed from
    /// the size of the model, the footers of the input and the size of shards; no row is scored.
    ///
    /// With --window or --state: how each date stands, what the next backfills would do about it,
    /// and how long that takes by what past runs took. It decides as `nightshift backfill` does,
    /// and looks at the input of every date that is not done.
    Plan(PlanArgs),
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
    /// Watch runs, workers and rates live, until q is pressed
    ///
    /// On a terminal the screen is drawn again and again: the runs of the coordinator, and of the
    /// selected one its shards, who works on them and what went wrong. The keys are told by ?.
    /// Elsewhere each look is a block of lines, or with --output-format json one JSON object on
    /// one line. --output DIR looks at the documents of an output instead.
    ///
    /// Rates are those of the last looks. Where nobody answers it is tried again, for ever unless
    /// --give-up-after says how long, and what was seen last is marked as old.
    Top(TopArgs),
    /// Say in plain words how a run stands, or one of its shards, or a date
    ///
    /// What state it is in and since when, who holds it, what failed and what to do, and what
    /// happens next. `why RUN [SHARD]` asks the coordinator, or with --output the documents of a
    /// run. `why SPEC DATE` looks into the output of the spec and decides as a backfill does, so
    /// that it says what the next backfill will do; with --coordinator, the coordinator decides.
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
    /// Score the same rows with two models and say how far they agree; writes no output
    ///
    /// For a look at a new model before it is used: how many rows agree, how many change sides,
    /// how the scores move. The shards are drawn by the spec's name and the date, so that the
    /// same command draws the same ones. One date, or a spec without dates.
    DiffModels(DiffModelsArgs),
    /// Let readers see an output that a gate withheld
    ///
    /// Records who decided and why, then publishes the files and `_SUCCESS`. The first decision
    /// about a run counts; approving again goes on where an earlier call ended. Works on the
    /// output itself, whoever ran the run, or through a coordinator with --coordinator.
    Approve(JudgeArgs),
    /// Keep an output that a gate withheld out of sight for good
    ///
    /// Records who decided and why. The date is not run again by itself; `run --force` makes a
    /// new generation of it.
    Reject(JudgeArgs),
    /// Show the report of a finished run, or write it as a page
    ///
    /// Where the spec has a `report:` section and others have not been told of the run, or could
    /// not be, they are told now: the files in its folder, the webhook, the lineage events.
    Report(ReportArgs),
    /// Re-hash and re-count the output of finished runs against plan and records
    ///
    /// The newest finished generation of the dates named, or of every date in the output; or the
    /// run that --run names. A run whose data `gc` has removed is no fault: its records and its
    /// final are verified.
    Verify(VerifyArgs),
    /// Compute shards of a finished run again, elsewhere, and compare with what was committed
    ///
    /// From the stored plan, with the plan's model (--model says where it is now) and the input
    /// as it was pinned; the output is not touched. The same bytes come out on the same kind of
    /// machine. Where they differ, rows are compared: numbers within --tolerance, everything else
    /// exactly. 0 if every shard agrees, 65 if one does not, 66 if the input is gone or changed.
    Replay(ReplayArgs),
    /// Show what the spec's retention lets go, and remove it with --delete
    ///
    /// Generations that newer ones have superseded, data of lost attempts, and what killed
    /// processes left. Claims, plans, records and finals stay, so a date that was done stays
    /// done. A run without its final is never touched.
    Gc(GcArgs),
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
    /// `job`, `cronjob`, `indexed` and `backfill` need no coordinator: the spec goes into a
    /// ConfigMap, and pods see the volume of a PersistentVolumeClaim at /data. `backfill` hands its
    /// dates to one with --set via=coordinator. `coordinator` shows the Job that a
    /// coordinator makes for a run of this spec, to be looked at before it is submitted.
    ///
    /// As in `nightshift render job spec.yaml --set date=2013-01-31 | kubectl apply -f -`.
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

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    /// Work outside of the spec's window too (`spec.window`)
    #[arg(long)]
    pub(crate) ignore_window: bool,

    /// Leave out every sync to disk, to measure what they cost; a power failure then loses data
    #[arg(long, hide = true)]
    pub(crate) without_sync: bool,

    /// Only show what would be done, like `nightshift plan`
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,

    #[command(flatten)]
    pub(crate) memory: MemoryArgs,

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

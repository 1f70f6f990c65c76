//! The command line: every flag, and the manual that `--help` prints.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use nightshift_core::exit::Exit;
use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::SHARDS_MAX;
use nightshift_worker::front::address::Address;
use nightshift_worker::front::args::{DateArgs, LogArgs, SpecArgs};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::memory::MemoryArgs;
use nightshift_worker::front::rehearsal::RehearsalArgs;
use nightshift_worker::single::{Single, task_of};
use std::path::PathBuf;

use crate::commit::CommitArgs;
use crate::coordinator::CoordinatorArgs;

/// Scores shards for a coordinator, one shard of a run, or one file.
///
/// As a worker of a coordinator, on any host that sees the same files:
///
///     nightshift-worker --coordinator http://host:7070
///
/// As one of many processes that share nothing but the output:
///
///     nightshift-worker --spec spec.yaml --date 2013-01-01 --shard-index 17 --num-shards 200
///
/// Whoever commits the last shard makes the verdict of the run. In an Indexed Job the index
/// comes from JOB_COMPLETION_INDEX.
///
/// As a first try of a model on a file:
///
///     nightshift-worker --model models/delay-mlp --input flights.parquet --output scores.parquet
///     nightshift-worker --model MiniLM --task 'kind: embed, text: body' --input a.jsonl --output b.parquet
#[derive(Debug, Parser)]
#[command(name = "nightshift-worker", version, args_conflicts_with_subcommands = true, verbatim_doc_comment, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    pub(crate) member: CoordinatorArgs,

    /// The spec file (YAML); paths in it are relative to its folder
    #[arg(long, env = "NIGHTSHIFT_SPEC", value_name = "FILE", value_hint = ValueHint::FilePath)]
    spec: Option<PathBuf>,

    /// Which shard to score, from 0; also from SHARD_INDEX or JOB_COMPLETION_INDEX
    #[arg(long, env = "SHARD_INDEX", value_name = "I")]
    shard_index: Option<u32>,

    /// Into how many shards the input is cut; the same number for every process
    #[arg(long, env = "NIGHTSHIFT_NUM_SHARDS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SHARDS_MAX as i64))]
    num_shards: Option<u32>,

    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// With --spec: use this input instead of the spec's. Without: the file to score
    #[arg(long, env = "NIGHTSHIFT_INPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    input: Option<String>,

    /// With --spec: use this model instead of the spec's. Without: the model. A folder, s3://…,
    /// hf://org/name@revision, models:/name@alias or models:/name/version
    #[arg(long, env = "NIGHTSHIFT_MODEL", value_name = "MODEL", value_hint = ValueHint::DirPath)]
    model: Option<String>,

    /// With --spec: use this output folder instead of the spec's. Without: the file to write
    /// (.parquet, .jsonl or .csv); it is replaced at once when it is complete
    #[arg(long, env = "NIGHTSHIFT_OUTPUT", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    output: Option<String>,

    /// Use this model version instead of the spec's
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    model_version: Option<String>,

    /// Without --spec: what the model is for, as `spec.task` says it: `kind: embed, text: body`
    #[arg(long, value_name = "TASK", default_value = "tabular", conflicts_with = "spec")]
    task: String,

    /// Without --spec: carry only these columns over; by default all of them
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', conflicts_with = "spec")]
    id: Vec<String>,

    /// Inference threads; by default the cores that this process may use
    #[arg(long, env = "NIGHTSHIFT_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// With --spec: work outside of the spec's window too (`spec.window`)
    #[arg(long)]
    pub(crate) ignore_window: bool,

    #[command(flatten)]
    pub(crate) rehearsal: RehearsalArgs,

    #[command(flatten)]
    pub(crate) memory: MemoryArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

const AFTER_HELP: &str = "\
Exit codes:
   0  done and confirmed
  64  the command line is wrong
  65  data beyond the error budget, or unreadable
  66  input is missing
  69  the coordinator or the store is unavailable
  70  a bug; please report it
  73  the output cannot be created
  74  reading or writing failed
  75  drained or interrupted; run it again
  77  permission denied, or a read-only output
  78  spec, model or configuration is wrong";

/// What else the program does.
#[derive(Debug, Subcommand)]
enum Command {
    Commit(CommitArgs),
}

/// What the worker is to do.
pub(crate) enum Mode<'a> {
    /// Files of a program in another language.
    Commit(&'a CommitArgs),
    /// Shards of a coordinator.
    Member { coordinator: Address },
    /// One file into another.
    File(Box<Single>),
    /// One shard of a run.
    Shard { shard: ShardIndex, shards: u32 },
}

/// Flags that mean nothing beside `--coordinator`: the grants say what to score.
const NOT_WITH_COORDINATOR: [&str; 11] = [
    "spec",
    "shard_index",
    "num_shards",
    "date",
    "dates",
    "input",
    "model",
    "output",
    "model_version",
    "id",
    "task",
];

impl Arguments {
    /// The arguments of this process.
    pub(crate) fn of_this_process() -> Result<Self, clap::Error> {
        Self::of(&Self::command().try_get_matches()?)
    }

    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut arguments = Self::from_arg_matches(matches)?;
        // Only what the command line itself says: in a pod the environment is set for all alike.
        let said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let beside = NOT_WITH_COORDINATOR.iter().find(|id| said(id));
        match beside {
            Some(id) if said("coordinator") => {
                let flag = id.replace('_', "-");
                let text =
                    format!("--{flag} cannot be used with --coordinator, which says what to score");
                Err(Self::command().error(ErrorKind::ArgumentConflict, text))
            }
            Some(_) => {
                arguments.member.coordinator = None;
                Ok(arguments)
            }
            None => Ok(arguments),
        }
    }

    pub(crate) fn mode(&self) -> Result<Mode<'_>, Failure> {
        if let Some(Command::Commit(commit)) = &self.command {
            return Ok(Mode::Commit(commit));
        }
        let missing = |what: &str, remedy: &str| {
            Failure::new(Exit::Usage, format_args!("{what} is missing: {remedy}"))
        };
        if let Some(coordinator) = &self.member.coordinator {
            return Ok(Mode::Member { coordinator: coordinator.clone() });
        }
        if self.spec.is_none() {
            if self.shard_index.is_some() {
                return Err(missing("--spec", "a shard index is one of a run's, so name its spec"));
            }
            let need = |value: &Option<String>, flag| {
                let remedy = "give --spec for a run, or --model, --input and --output for one file";
                value.clone().ok_or_else(|| missing(flag, remedy))
            };
            let output = need(&self.output, "--output")?;
            let task = task_of(&self.task, &output)
                .map_err(|error| Failure::new(Exit::Usage, nightshift_worker::describe(&error)))?;
            return Ok(Mode::File(Box::new(Single {
                model: need(&self.model, "--model")?,
                input: need(&self.input, "--input")?,
                output,
                task,
                carry: self.id.clone(),
            })));
        }
        let index = match self.shard_index {
            Some(index) => index,
            None => job_completion_index()?.ok_or_else(|| {
                missing("--shard-index", "give it, or set SHARD_INDEX or JOB_COMPLETION_INDEX")
            })?,
        };
        let shards = self.num_shards.ok_or_else(|| {
            missing("--num-shards", "give the number of shards, the same for every process")
        })?;
        if index >= shards {
            return Err(Failure::new(
                Exit::Usage,
                format_args!(
                    "--shard-index {index} is not one of {shards} shards: use 0 to {}",
                    shards - 1
                ),
            ));
        }
        Ok(Mode::Shard { shard: ShardIndex(index), shards })
    }

    /// The spec and its overrides.
    pub(crate) fn spec_args(&self) -> Result<SpecArgs, Failure> {
        let spec = self.spec.clone();
        let spec = spec.ok_or_else(|| Failure::new(Exit::Usage, "--spec is missing"))?;
        Ok(SpecArgs {
            spec,
            input: self.input.clone(),
            model: self.model.clone(),
            output: self.output.clone(),
            model_version: self.model_version.clone(),
        })
    }
}

/// The index that Kubernetes gives a pod of an Indexed Job.
fn job_completion_index() -> Result<Option<u32>, Failure> {
    let Some(text) = std::env::var_os("JOB_COMPLETION_INDEX") else { return Ok(None) };
    let index = text.to_str().and_then(|text| text.parse().ok());
    index.map(Some).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "JOB_COMPLETION_INDEX is not a number: it is a shard's index, from 0",
        )
    })
}

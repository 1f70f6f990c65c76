//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Measures what leasing costs, with a real coordinator and simulated workers.
///
/// The coordinator has one core for itself; the simulated workers, and Redis where it is the
/// ledger, have the others.
#[derive(Debug, Parser)]
#[command(name = "nightshift-bench-leases", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pairs of Acquire and Report a second, latencies, memory; and a plain Redis list queue
    Load(LoadArgs),
    /// Skewed work, and a slow worker: makespan against the ideal and against static shards
    Skew(SkewArgs),
    /// Memory of a coordinator with one large run
    Memory(MemoryArgs),
}

/// What all have in common.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The coordinator to measure; by default the one beside this program
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::ExecutablePath)]
    pub(crate) coordinator: Option<PathBuf>,
    /// Where the runs are put; a file system in memory leaves the disk out
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value_t = OutputFormatArg::Text, value_name = "FORMAT")]
    pub(crate) output_format: OutputFormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Simulated workers
    #[arg(long, default_value_t = 1_000)]
    pub(crate) workers: usize,
    /// Connections that they share; it is measured with one for each worker, too
    #[arg(long, default_value_t = 8)]
    pub(crate) connections: usize,
    /// Most pairs of one measurement: as many records are written before it
    #[arg(long, default_value_t = 60_000)]
    pub(crate) pairs: u32,
    /// Longest time of one measurement, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    pub(crate) time_max: u64,
    /// Pairs a second for the latencies below saturation
    #[arg(long, default_value_t = 2_000, value_name = "PAIRS")]
    pub(crate) rate: u32,
    /// Shards of the run whose memory is measured; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) shards: u32,
    /// Leave out the ledger in Redis and the list queue
    #[arg(long)]
    pub(crate) no_redis: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Shards of the run
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) shards: u32,
    /// Records that are there when the coordinator is started again
    #[arg(long, default_value_t = 0)]
    pub(crate) records: u32,
}

#[derive(Debug, Args)]
pub(crate) struct SkewArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Workers
    #[arg(long, default_value_t = 8)]
    pub(crate) workers: usize,
    /// Shards
    #[arg(long, default_value_t = 200)]
    pub(crate) shards: u32,
    /// How many of them are long
    #[arg(long, default_value_t = 10)]
    pub(crate) long: u32,
    /// How many times longer they are
    #[arg(long, default_value_t = 20)]
    pub(crate) times: u32,
    /// How many times slower the slow worker is
    #[arg(long, default_value_t = 10)]
    pub(crate) slower: u32,
    /// About how long one run is to take, in seconds
    #[arg(long, default_value_t = 12.0, value_name = "SECONDS")]
    pub(crate) ideal: f64,
    /// Which shards are long
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long before the end of a shard a worker asks for the next, in milliseconds
    #[arg(long, default_value_t = 100, value_name = "MS")]
    pub(crate) horizon: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormatArg {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Common {
    /// The coordinator to measure.
    pub(crate) fn program(&self) -> std::io::Result<PathBuf> {
        match &self.coordinator {
            Some(program) => Ok(program.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("nightshift-coordinator")),
        }
    }

    /// Where the runs are put.
    pub(crate) fn parent(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

impl LoadArgs {
    pub(crate) fn time_max(&self) -> Duration {
        Duration::from_secs(self.time_max)
    }
}

//! Flags of `nightshift gc`, `verify` and `replay`.

use clap::Args;
use nightshift_core::ids::{RunId, ShardIndex};
use nightshift_worker::front::args::{CommitArgs, DateArgs, SpecArgs};
use nightshift_worker::replaying::TOLERANCE;

use super::FormatArgs;

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// Remove what would go; without this it is only shown
    #[arg(long)]
    pub(crate) delete: bool,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// Verify this run, of any generation, as in flights-2013-01-31-g1; may be repeated
    #[arg(long, value_name = "RUN", conflicts_with_all = ["date", "dates"])]
    pub(crate) run: Vec<RunId>,

    /// Compare the input files with the versions that were planned, too
    #[arg(long)]
    pub(crate) inputs: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["shard", "sample"]))]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,

    /// The run, as in flights-2013-01-31-g1
    #[arg(value_name = "RUN")]
    pub(crate) run: RunId,

    /// Compute this shard again; may be repeated
    #[arg(long, value_name = "N", value_parser = shard)]
    pub(crate) shard: Vec<ShardIndex>,

    /// Compute so many committed shards again, spread evenly over the run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: Option<u32>,

    /// How far a number may be from the committed one, relative to it (absolute below 1)
    #[arg(long, value_name = "NUMBER", default_value_t = TOLERANCE, value_parser = tolerance)]
    pub(crate) tolerance: f64,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

fn shard(text: &str) -> Result<ShardIndex, std::num::ParseIntError> {
    text.parse().map(ShardIndex)
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let fine = number.filter(|number| number.is_finite() && *number >= 0.0);
    fine.ok_or_else(|| "write a number from 0 on, as in 0.00001".to_owned())
}

//! The flags of `nightshift plan`.

use clap::Args;
use nightshift_core::backfill::DATES_MAX;

use super::LookArgs;
use super::backfill::{OrderArg, RedisArgs, ReprocessArg, WindowArg};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Show how each date stands instead, and what the next backfills would do: the dates of so
    /// many days before today, as 14d
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["date", "dates"], group = "states")]
    pub(crate) window: Option<WindowArg>,

    /// The same for the dates of --date or --dates, or else for those of the spec's
    /// backfill.window
    #[arg(long, group = "states")]
    pub(crate) state: bool,

    #[command(flatten)]
    pub(crate) ticks: TickArgs,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,

    /// Show what memory and CPU a worker needs instead, computed from model and input
    #[arg(long, conflicts_with = "states")]
    pub(crate) resources: bool,
}

/// How the backfills are called whose doing is foretold.
#[derive(Debug, Args)]
pub(crate) struct TickArgs {
    /// What a backfill with this --reprocess would do [default: the spec's backfill.reprocess]
    #[arg(long, value_name = "WHEN", requires = "states")]
    pub(crate) reprocess: Option<ReprocessArg>,

    /// What a backfill with this --order would do [default: the spec's backfill.order]
    #[arg(long, value_name = "ORDER", requires = "states")]
    pub(crate) order: Option<OrderArg>,

    /// What a backfill with this --max-dates would do
    #[arg(long, value_name = "N", default_value = "1", requires = "states", value_parser = clap::value_parser!(u32).range(1..=DATES_MAX as i64))]
    pub(crate) max_dates: u32,
}

impl PlanArgs {
    /// Whether the states of dates are asked for.
    pub(crate) fn is_of_states(&self) -> bool {
        self.state || self.window.is_some()
    }
}

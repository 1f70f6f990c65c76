//! The flags of `nightshift backfill`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum, ValueHint};
use nightshift_core::backfill::DATES_MAX;
use nightshift_core::spec::{Order, Reprocess};
use nightshift_ledger::redis::RedisUrl;
use nightshift_worker::front::args::{CommitArgs, DateArgs, SpecArgs};
use thiserror::Error;

use super::FormatArgs;
use super::coordinator::CoordinatorArgs;
use crate::span::Span;

/// Days before today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowArg(pub(crate) u32);

/// Text is not a number of days.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a number of days; write 1d to {DATES_MAX}d, as in 14d")]
pub(crate) struct InvalidWindow {
    text: String,
}

impl FromStr for WindowArg {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let days = text.strip_suffix('d').unwrap_or(text).parse().ok();
        days.filter(|days| (1..=DATES_MAX as u32).contains(days))
            .map(Self)
            .ok_or_else(|| InvalidWindow { text: text.chars().take(40).collect() })
    }
}

/// Which missing date comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// The oldest
    Oldest,
    /// The newest
    Newest,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::Oldest => Self::Oldest,
            OrderArg::Newest => Self::Newest,
        }
    }
}

/// Whether a date that is done is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReprocessArg {
    /// Never
    Never,
    /// When the model is another
    OnModelChange,
    /// When input, model or settings are others
    OnAnyChange,
}

impl From<ReprocessArg> for Reprocess {
    fn from(reprocess: ReprocessArg) -> Self {
        match reprocess {
            ReprocessArg::Never => Self::Never,
            ReprocessArg::OnModelChange => Self::OnModelChange,
            ReprocessArg::OnAnyChange => Self::OnAnyChange,
        }
    }
}

/// Where the ledger is.
#[derive(Debug, Args)]
pub(crate) struct RedisArgs {
    /// Redis with the ledger: redis://user:password@host:port/db, or rediss:// for TLS. Without
    /// it the output alone says what is done
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) redis: Option<RedisUrl>,

    /// PEM file with the authorities to trust for rediss://, instead of the system's
    #[arg(long, env = "NIGHTSHIFT_REDIS_CA", value_name = "FILE", value_hint = ValueHint::FilePath, requires = "redis")]
    pub(crate) redis_ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) dates: DateArgs,

    /// The dates of so many days before today, as 14d; today itself is not among them
    /// [default: the spec's backfill.window]
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["date", "dates"])]
    pub(crate) window: Option<WindowArg>,

    /// Work on at most so many dates
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=DATES_MAX as i64))]
    pub(crate) max_dates: u32,

    /// Which missing date comes first [default: the spec's backfill.order]
    #[arg(long, value_name = "ORDER")]
    pub(crate) order: Option<OrderArg>,

    /// Go on until nothing is left to do now
    #[arg(long)]
    pub(crate) until_done: bool,

    /// Whether a date that is done is done again [default: the spec's backfill.reprocess]
    #[arg(long, value_name = "WHEN")]
    pub(crate) reprocess: Option<ReprocessArg>,

    /// Do the named dates again, whatever is there, as a new generation; needs --date or --dates
    #[arg(long, requires = "reason", conflicts_with_all = ["window", "until_done"])]
    pub(crate) force: bool,

    /// Why, for whoever reads the claim later
    #[arg(long, value_name = "TEXT", requires = "force")]
    pub(crate) reason: Option<String>,

    /// Wait for the verdict of a date that somebody else works on
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) wait: bool,

    /// After so long without a sign of life, a run of another host is taken for abandoned
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub(crate) join_after: Span,

    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Inference threads; by default the cores that this process may use
    #[arg(long, env = "NIGHTSHIFT_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,
    #[command(flatten)]
    pub(crate) redis: RedisArgs,
    #[command(flatten)]
    pub(crate) coordinator: CoordinatorArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

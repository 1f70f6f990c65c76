//! The flags of `nightshift plan`.

use clap::Args;

use super::LookArgs;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,

    /// Show what memory and CPU a worker needs instead, computed from model and input
    #[arg(long)]
    pub(crate) resources: bool,
}

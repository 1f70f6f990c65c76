//! The flag for those who want to see a shard fail.

use clap::Args;

use crate::forced::{Forced, ForcedShard};

/// Which attempts are to fail. There is no variable for it, so that no environment and no template
/// brings it about.
#[derive(Debug, Args)]
pub struct RehearsalArgs {
    /// For rehearsals: force the next attempt at these shards to fail, as if the process had died
    /// there. 3 fails one attempt of this process, 3:2 two, 3:always all, until the shard is
    /// given up; several with commas
    #[arg(long, value_name = "SHARD[:TIMES]", value_delimiter = ',')]
    fail_shard: Vec<ForcedShard>,
}

impl RehearsalArgs {
    /// What is to fail; says so in the log. To be called once.
    pub fn forced(&self) -> Forced {
        Forced::new(&self.fail_shard)
    }
}

//! Whether a coordinator that comes back hands out what is done.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_tests::cluster::Cluster;
use nightshift_tests::{log, store};

/// What was done when a coordinator was dead.
#[derive(Debug)]
pub(crate) struct Restart {
    /// Shards with a record, by run.
    decided: BTreeMap<String, BTreeSet<u32>>,
    /// The highest epoch of each run.
    epochs: BTreeMap<String, u64>,
}

impl Restart {
    /// To be called after the coordinator was killed and before it is started again.
    pub(crate) fn after_kill(cluster: &Cluster) -> Self {
        let output = cluster.output();
        let runs = store::runs(&output);
        let decided = |run: &String| (run.clone(), store::recorded(&output, run));
        let epoch = |run: &String| (run.clone(), store::epoch(&output, run));
        Self {
            decided: runs.iter().map(decided).collect(),
            epochs: runs.iter().map(epoch).collect(),
        }
    }

    /// Fails if a later epoch granted a shard that was decided before it began.
    pub(crate) fn check(&self, cluster: &Cluster) {
        for granted in cluster.events("lease granted") {
            let (log::Event { run, shard, .. }, epoch) = (&granted, granted.epoch());
            let before = self.decided.get(run).is_some_and(|decided| decided.contains(shard));
            assert!(
                !before || epoch <= self.epochs[run],
                "shard {shard} of {run} had a record before epoch {epoch} began, which granted it"
            );
        }
    }
}

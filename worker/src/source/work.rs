//! What the shards of one run have in common, and one try at one of them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_core::ids::{AttemptId, RunId};
use nightshift_core::lease::Lease;
use nightshift_core::plan::Plan;
use nightshift_storage::root::Probed;

use crate::score::Scorer;

/// All that an attempt needs besides its lease. A pool may work on shards of several runs, so
/// each lease comes with the work that it is for.
pub struct RunWork {
    /// The output root.
    pub root: Probed,
    /// Scores shards of the plan.
    pub scorer: Scorer,
    /// How long its model took to load, until somebody has charged it.
    loading: Mutex<Option<Duration>>,
}

/// One try at one shard under a lease.
#[derive(Clone)]
pub struct Attempt {
    /// The run.
    pub work: Arc<RunWork>,
    /// The lease.
    pub lease: Lease,
    /// The attempt's own name, under which it stages data.
    pub id: AttemptId,
}

// === impl RunWork ===

impl RunWork {
    /// The work of a run whose model took `loading` to load, if it was loaded for it.
    pub fn new(root: Probed, scorer: Scorer, loading: Option<Duration>) -> Self {
        Self { root, scorer, loading: Mutex::new(loading) }
    }

    /// How long the model took to load, told once: whoever asks first charges it.
    pub fn take_loading(&self) -> Option<Duration> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The stored plan.
    pub fn plan(&self) -> &Arc<Plan> {
        self.scorer.plan()
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.plan().run
    }
}

impl fmt::Debug for RunWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunWork({})", self.run())
    }
}

// === impl Attempt ===

impl Attempt {
    /// The run.
    pub fn run(&self) -> &RunId {
        self.work.run()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({} of shard {} of {})", self.id, self.lease.shard, self.run())
    }
}

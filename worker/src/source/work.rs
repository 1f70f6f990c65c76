//! What the shards of one run have in common, and one try at one of them.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_core::ids::{AttemptId, RunId};
use nightshift_core::lease::Lease;
use nightshift_core::plan::{Plan, Shard};
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

/// Slices of input that a log line names; a shard has one or two, unless its files are tiny.
const SLICES_SHOWN: usize = 3;

impl Attempt {
    /// What every log line of this attempt says. At the level of errors, so that no filter takes
    /// it away from them.
    pub(crate) fn span(&self) -> tracing::Span {
        let (run, shard, attempt) = (self.run(), self.lease.shard, &self.id);
        let model_digest = self.work.plan().model.digest;
        tracing::error_span!("attempt", %run, %shard, %attempt, %model_digest)
    }

    /// Says that the rows of the shard are about to be scored, and which rows those are.
    pub(crate) fn say_started(&self) {
        let shard = self.work.plan().shard(self.lease.shard);
        let slices = shard.map_or(0, |shard| shard.slices.len());
        let rows = shard.map_or(0, Shard::rows);
        tracing::info!(rows, slices, input = self.input(), "inference started");
    }

    /// The first slices of the shard, as in `/data/in/flights.parquet[5000..10000]`.
    fn input(&self) -> String {
        let plan = self.work.plan();
        let slices = plan.shard(self.lease.shard).into_iter().flat_map(|shard| shard.slices.iter());
        let mut text = String::new();
        for slice in slices.take(SLICES_SHOWN) {
            let uri = plan.inputs.get(slice.input as usize).map_or("?", |file| &file.uri);
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(text, "{separator}{uri}[{}..{}]", slice.start, slice.start + slice.rows);
        }
        text
    }

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

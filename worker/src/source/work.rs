//! What the shards of one run have in common, and one try at one of them.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nightshift_core::ids::{AttemptId, Digest, RunId};
use nightshift_core::lease::Lease;
use nightshift_core::plan::{Plan, Shard};
use nightshift_storage::root::Probed;
use tracing::Span;
use tracing::field::Empty;

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
    /// The trace of the run, as a W3C `traceparent`, where it has one.
    trace: Option<String>,
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
    /// What every log line of it says, and its span in the trace of the run.
    pub span: Span,
    /// When it began.
    pub began: Instant,
}

// === impl RunWork ===

impl RunWork {
    /// The work of a run whose model took `loading` to load, if it was loaded for it.
    pub fn new(root: Probed, scorer: Scorer, loading: Option<Duration>) -> Self {
        Self { root, scorer, loading: Mutex::new(loading), trace: None }
    }

    /// The same work within a trace, named by a W3C `traceparent`.
    #[must_use]
    pub fn traced(self, trace: Option<String>) -> Self {
        Self { trace, ..self }
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

/// The span of an attempt. At the level of errors, so that no filter takes what it says away from
/// log lines.
pub(crate) fn span(
    trace: Option<&str>,
    run: &RunId,
    lease: &Lease,
    attempt: &AttemptId,
    model_digest: Option<Digest>,
) -> Span {
    tracing::error_span!(
        "attempt",
        trace.parent = trace,
        %run,
        shard = %lease.shard,
        %attempt,
        model_digest = model_digest.map(display),
        trace.number = lease.earlier_attempts + 1,
        trace.token = %lease.token,
        trace.rows = Empty,
        trace.outcome = Empty,
        trace.failed = Empty,
    )
}

// === impl Attempt ===

/// Slices of input that a log line names; a shard has one or two, unless its files are tiny.
const SLICES_SHOWN: usize = 3;

impl Attempt {
    /// A try at the shard of `lease` that begins now.
    pub fn begin(work: Arc<RunWork>, lease: Lease, id: AttemptId) -> Self {
        let digest = work.plan().model.digest;
        let span = span(work.trace.as_deref(), work.run(), &lease, &id, Some(digest));
        Self { work, lease, id, span, began: Instant::now() }
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

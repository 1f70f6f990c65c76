//! One run, one trace: the spans of a run, whichever processes they come from.
//!
//! ```text
//! run                     whoever makes the final, from the plan's time on
//! ├─ plan                 whoever opened the run
//! ├─ attempt              a worker, one for each try at a shard
//! │  └─ read, infer, write, stage, settle, publish, report
//! └─ attempt              the coordinator, for a worker that ended without a word
//! ```
//!
//! Spans are those of `tracing`; `layer` turns them into what OTLP carries. One is traced if it
//! names a run's trace (`trace.parent`), or if it has the target [`TARGET`] and is within one that
//! does. Without an exporter that layer is not there, and spans that only a trace shows cost what
//! any disabled span does.
//!
//! The identity of a trace follows from the stored plan ([`RunTrace`]), so it needs no document
//! of its own: a coordinator that starts again, or another process that goes on with the run,
//! computes the same.

use jiff::Timestamp;
use nightshift_core::conclusion::Final;
use nightshift_core::ids::ShardIndex;
use nightshift_core::plan::Planned;
use sha2::{Digest, Sha256};
use tracing::Span;
use tracing::field::Empty;

pub(crate) mod layer;
mod values;

pub use layer::TraceContext;

/// Target of the spans that only a trace shows.
pub const TARGET: &str = "nightshift::trace";

/// Fields that only a trace shows begin so; in the trace they are without it.
pub(crate) const TRACE_ONLY: &str = "trace.";

/// The trace of one run: its identity, and that of the span that all others are within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTrace(TraceContext);

impl RunTrace {
    /// The trace of the run of `plan`.
    ///
    /// Both identities are parts of one digest over the run, the moment of its plan to the
    /// nanosecond and its fingerprint: everybody who has the plan agrees, and two runs of one
    /// name in two outputs do not meet.
    pub fn of(plan: &impl Planned) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"nightshift trace 1\0");
        digest.update(plan.run().to_string());
        digest.update(plan.planned_at().as_nanosecond().to_be_bytes());
        digest.update(plan.fingerprint().0);
        let digest: [u8; 32] = digest.finalize().into();
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest[..16]);
        span.copy_from_slice(&digest[16..24]);
        Self(TraceContext { trace, span, sampled: true })
    }

    /// The context for spans within the run, as the W3C header `traceparent` has it; none where
    /// this process exports no traces. Its last bit says whether this process samples the run.
    pub fn traceparent(self) -> Option<String> {
        let sampled = layer::samples(&self.0)?;
        Some(TraceContext { sampled, ..self.0 }.to_string())
    }
}

/// A span within a trace, for one step of an attempt: [`phase!`](crate::phase)`("stage")`.
///
/// With `within`, it belongs to that span instead of the current one.
/// With `busy`, the span begins when it is first entered, ends when it is last left,
/// and says in `busy_ms` how long it was entered: for a step that is done batch by batch.
#[macro_export]
macro_rules! phase {
    ($name:literal) => {
        ::tracing::trace_span!(target: $crate::trace::TARGET, $name)
    };
    ($name:literal, within $span:expr) => {
        ::tracing::trace_span!(target: $crate::trace::TARGET, parent: $span, $name)
    };
    ($name:literal, busy) => {
        ::tracing::trace_span!(target: $crate::trace::TARGET, $name, trace.busy = true)
    };
}

/// The run has been planned, by this process: the span `plan`, from the moment of the plan until
/// now.
pub fn planned(plan: &impl Planned) {
    let Some(parent) = RunTrace::of(plan).traceparent() else { return };
    tracing::trace_span!(
        target: TARGET,
        "plan",
        trace.parent = parent,
        trace.start_ns = nanoseconds(plan.planned_at()),
        run = %plan.run(),
        trace.rows = plan.rows(),
        trace.shards = plan.shard_count(),
        trace.model = plan.model().uri,
    );
}

/// The run has its verdict, made by this process: the span `run` that all others are within.
pub fn concluded(plan: &impl Planned, verdict: &Final) {
    let Some(own) = RunTrace::of(plan).traceparent() else { return };
    let totals = &verdict.totals;
    let span = tracing::trace_span!(
        target: TARGET,
        "run",
        trace.own = own,
        trace.start_ns = nanoseconds(plan.planned_at()),
        run = %plan.run(),
        trace.name = %plan.run().name,
        trace.partition = %plan.run().partition,
        trace.state = verdict.state.as_str(),
        trace.rows = totals.rows_in,
        trace.rows_out = totals.rows_out,
        trace.rows_rejected = totals.rows_rejected,
        trace.shards = totals.shards,
        trace.quarantined = totals.quarantined,
        model_digest = %plan.model().digest,
        trace.failed = Empty,
    );
    if totals.quarantined > 0 {
        let text = format!("{} shards were given up", totals.quarantined);
        span.record("trace.failed", text);
    }
}

/// How an attempt ended that its worker says nothing about any more.
#[derive(Debug, Clone, Copy)]
pub struct LostAttempt<'a> {
    /// The shard.
    pub shard: ShardIndex,
    /// Which try at the shard it was, from 1.
    pub number: u32,
    /// How long ago its lease was granted, in milliseconds.
    pub age_ms: u64,
    /// Short name of the reason.
    pub reason: &'a str,
}

/// An attempt of the run of `plan` is over because its worker is gone: its span `attempt`, with
/// the outcome `lost`.
pub fn lost(plan: &impl Planned, lost: LostAttempt<'_>) {
    let Some(parent) = RunTrace::of(plan).traceparent() else { return };
    let age_ns = lost.age_ms.saturating_mul(1_000_000);
    tracing::trace_span!(
        target: TARGET,
        "attempt",
        trace.parent = parent,
        trace.start_ns = nanoseconds(Timestamp::now()).saturating_sub(age_ns),
        run = %plan.run(),
        shard = %lost.shard,
        trace.number = lost.number,
        trace.outcome = "lost",
        trace.failed = lost.reason,
    );
}

/// How an attempt ended, on its span: a word, and what went wrong if something did.
pub fn outcome(attempt: &Span, outcome: &'static str, failed: Option<&str>) {
    attempt.record("trace.outcome", outcome);
    if let Some(failed) = failed {
        attempt.record("trace.failed", failed);
    }
}

/// Nanoseconds since 1970; 0 for times before.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests;

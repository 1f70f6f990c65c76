//! From spans of `tracing` to spans of OTLP.
//!
//! The spans of one tree in this process (an attempt and its steps) are handed on together when
//! the outermost one ends. So a process that is killed leaves either a whole attempt or nothing,
//! and no step without the attempt that it is within.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::values::{PARENT, Values};
use super::{TARGET, nanoseconds};
use crate::otlp::queue::Queue;
use crate::otlp::settings::Sampler;
use crate::secrets::Secrets;

/// Most spans of one tree: an attempt has seven. What is beyond is left out.
const TREE_MAX: usize = 256;
/// The flag of a context that says that it is sampled.
const SAMPLED: u8 = 1;

/// A place in a trace, as the W3C header `traceparent` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) sampled: bool,
}

impl TraceContext {
    /// Reads version 00 of the header; none for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = parts.next()?;
        let trace = hex(parts.next()?)?;
        let span = hex(parts.next()?)?;
        let [flags] = hex(parts.next()?)?;
        let ok = version == "00" && parts.next().is_none();
        let named = trace.iter().any(|byte| *byte != 0) && span.iter().any(|byte| *byte != 0);
        (ok && named).then_some(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = u128::from_be_bytes(self.trace);
        let span = u64::from_be_bytes(self.span);
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(self.sampled))
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 2 * N || !digits {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Whether a span may belong to a trace: by its target, or because it names one.
pub(crate) fn is_traced(metadata: &Metadata<'_>) -> bool {
    let names_one = || metadata.fields().field(PARENT).is_some();
    metadata.is_span() && (metadata.target() == TARGET || names_one())
}

/// Whether this process samples the trace of a run; none where it exports no traces.
pub(super) fn samples(context: &TraceContext) -> Option<bool> {
    tracing::dispatcher::get_default(|dispatch| {
        let spans = dispatch.downcast_ref::<Spans>()?;
        Some(spans.sampler.samples(&context.trace, None))
    })
}

/// Hands the spans of traces to a queue.
#[derive(Debug)]
pub(crate) struct Spans {
    queue: Arc<Queue>,
    sampler: Sampler,
    secrets: Secrets,
    /// Makes identities of spans: unforeseeable, and without a lock.
    random: RandomState,
    made: AtomicU64,
}

/// One span that has not ended.
#[derive(Debug)]
struct Open {
    context: TraceContext,
    /// Identity of the span that it is within; empty for the run's own.
    parent: Vec<u8>,
    tree: Arc<Tree>,
    outermost: bool,
    begun_ns: u64,
    begun: Instant,
    entered: Entered,
    values: Values,
}

/// When a span was entered, for those where that counts.
#[derive(Debug, Default)]
struct Entered {
    first: Option<Instant>,
    now: Option<Instant>,
    last_left: Option<Instant>,
    total: Duration,
}

/// Spans of one tree that have ended.
#[derive(Debug, Default)]
struct Tree(Mutex<Vec<Span>>);

impl Spans {
    pub(crate) fn new(queue: Arc<Queue>, sampler: Sampler, secrets: Secrets) -> Self {
        Self { queue, sampler, secrets, random: RandomState::new(), made: AtomicU64::new(0) }
    }

    fn fresh_span(&self) -> [u8; 8] {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.random.hash_one(number).max(1).to_be_bytes()
    }

    /// What becomes of a new span; nothing if it is in no trace, or in one that is not sampled.
    fn begin<S>(&self, values: Values, span: &SpanRef<'_, S>) -> Option<Open>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let begun = Instant::now();
        let begun_ns = values.start_ns.unwrap_or_else(|| nanoseconds(Timestamp::now()));
        let entered = Entered::default();
        let remote = values.parent.map(|parent| (parent, parent.span.to_vec()));
        let own = values.own.map(|own| (own, Vec::new()));
        if let Some((context, parent)) = own.or(remote) {
            if !self.sampler.samples(&context.trace, Some(context.sampled)) {
                return None;
            }
            let span = if parent.is_empty() { context.span } else { self.fresh_span() };
            let context = TraceContext { span, ..context };
            let (tree, outermost) = (Arc::default(), true);
            return Some(Open {
                context,
                parent,
                tree,
                outermost,
                begun_ns,
                begun,
                entered,
                values,
            });
        }
        span.scope()
            .skip(1)
            .find_map(|outer| {
                let outer = outer.extensions();
                let outer = outer.get::<Open>()?;
                let context = TraceContext { span: self.fresh_span(), ..outer.context };
                // By the clock of the span that it is within: the wall clock may be set in
                // between, and a step would seem to outlast its attempt.
                let begun_ns = match (values.start_ns, outer.values.start_ns) {
                    (None, None) => outer.at(begun),
                    _ => begun_ns,
                };
                Some((context, outer.context.span.to_vec(), Arc::clone(&outer.tree), begun_ns))
            })
            .map(|(context, parent, tree, begun_ns)| Open {
                context,
                parent,
                tree,
                outermost: false,
                begun_ns,
                begun,
                entered,
                values,
            })
    }
}

impl<S> Layer<S> for Spans
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut values = Values::default();
        attributes.record(&mut values);
        if let Some(open) = self.begin(values, &span) {
            span.extensions_mut().replace(open);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut later = Values::default();
            record.record(&mut later);
            open.values.merge(later);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>()
            && open.values.busy
        {
            let now = Instant::now();
            open.entered.now = Some(now);
            open.entered.first.get_or_insert(now);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>()
            && let Some(since) = open.entered.now.take()
        {
            open.entered.total += since.elapsed();
            open.entered.last_left = Some(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(mut open) = span.extensions_mut().remove::<Open>() else { return };
        open.values.hide(&self.secrets);
        let (tree, outermost) = (Arc::clone(&open.tree), open.outermost);
        // Whole between calls, so a panic elsewhere cannot break it.
        let mut ended = tree.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outermost || ended.len() + 1 < TREE_MAX {
            ended.push(open.end(span.name()));
        }
        if outermost {
            self.queue.push(std::mem::take(&mut *ended));
        }
    }
}

impl Open {
    /// A moment after it was begun, in nanoseconds since 1970.
    fn at(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.begun).as_nanos();
        self.begun_ns.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// The span as OTLP has it.
    fn end(self, name: &str) -> Span {
        let Entered { first, last_left, total, .. } = self.entered;
        let (start, end) = match (self.values.start_ns, first, last_left) {
            // Begun before it was made, so only the wall clock knows how long ago.
            (Some(start), ..) => (start, nanoseconds(Timestamp::now()).max(start)),
            (None, Some(first), Some(last)) => (self.at(first), self.at(last)),
            _ => (self.begun_ns, self.at(Instant::now())),
        };
        let Self { context, parent, mut values, .. } = self;
        if values.busy {
            let busy_ms = total.as_secs_f64() * 1e3;
            values.add("busy_ms", Value::DoubleValue(busy_ms));
        }
        let status =
            values.failed.take().map(|message| Status { message, code: StatusCode::Error.into() });
        Span {
            trace_id: context.trace.to_vec(),
            span_id: context.span.to_vec(),
            parent_span_id: parent,
            flags: u32::from(SAMPLED),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: values.attributes,
            status,
            ..Span::default()
        }
    }
}

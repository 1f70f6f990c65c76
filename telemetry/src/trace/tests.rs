use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use tracing::subscriber::with_default;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::layer::Spans;
use super::*;
use crate::otlp::queue::Queue;
use crate::otlp::settings::Settings;
use crate::secrets::Secrets;

const PARENT: &str = "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01";

/// The trees that `work` leaves, in the order in which they ended.
fn traced(sampler: &str, work: impl FnOnce()) -> Vec<Vec<Sent>> {
    let queue = Arc::new(Queue::default());
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:1".to_owned()),
        "OTEL_TRACES_SAMPLER" => Some(sampler.to_owned()),
        _ => None,
    };
    let settings = Settings::read("test", get).unwrap().unwrap();
    let secret = ("HF_TOKEN".to_owned(), "hf_canary".to_owned());
    let secrets = Secrets::from([secret], []);
    let spans = Spans::new(Arc::clone(&queue), settings.sampler, secrets);
    let spans = spans.with_filter(filter_fn(layer::is_traced));
    with_default(Registry::default().with(spans), work);
    std::iter::from_fn(|| queue.next()).flatten().collect()
}

fn attempt(parent: &str) -> Span {
    tracing::error_span!(
        "attempt",
        trace.parent = parent,
        shard = 7,
        trace.outcome = Empty,
        trace.failed = Empty
    )
}

fn attribute(span: &Sent, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.as_ref().map(|value| format!("{:?}", value.value))
}

#[test]
fn steps_come_with_their_attempt_and_never_without() {
    let trees = traced("always_on", || {
        let attempt = attempt(PARENT);
        attempt.in_scope(|| {
            drop(phase!("read"));
            // A span of another kind in between changes nothing.
            tracing::error_span!("task").in_scope(|| drop(phase!("stage")));
        });
        outcome(&attempt, "failed", Some("the disk is full"));
        // The kill: this one never ends.
        std::mem::forget(attempt.in_scope(|| phase!("settle")));
        std::mem::forget(attempt);
    });
    assert!(trees.is_empty(), "the attempt has not ended: {trees:?}");

    let trees = traced("always_on", || {
        let attempt = attempt(PARENT);
        attempt.in_scope(|| drop(phase!("read")));
        outcome(&attempt, "failed", Some("the disk is full"));
    });
    let [tree] = &trees[..] else { panic!("{trees:?}") };
    let [read, attempt] = &tree[..] else { panic!("{tree:?}") };
    assert_eq!((&*read.name, &*attempt.name), ("read", "attempt"));
    assert_eq!(read.parent_span_id, attempt.span_id);
    assert_eq!(attempt.parent_span_id, (0x11..=0x18).collect::<Vec<u8>>());
    assert!(tree.iter().all(|span| span.trace_id == (1..=16).collect::<Vec<u8>>()));
    assert_eq!(attempt.status.as_ref().unwrap().message, "the disk is full");
    assert_eq!(attribute(attempt, "nightshift.shard").unwrap(), "Some(IntValue(7))");
    assert!(attribute(attempt, "nightshift.outcome").unwrap().contains("failed"));
    assert!(attribute(attempt, "nightshift.parent").is_none());
}

#[test]
fn a_step_that_is_done_batch_by_batch_says_how_long_it_took() {
    let trees = traced("always_on", || {
        attempt(PARENT).in_scope(|| {
            let infer = phase!("infer", busy);
            let not_yet = std::time::Instant::now();
            while not_yet.elapsed().as_millis() < 5 {}
            (0..3).for_each(|_| infer.in_scope(|| ()));
        });
    });
    let infer = &trees[0][0];
    let attempt = &trees[0][1];
    assert!(infer.start_time_unix_nano >= attempt.start_time_unix_nano + 5_000_000);
    assert!(infer.end_time_unix_nano <= attempt.end_time_unix_nano);
    let busy = attribute(infer, "nightshift.busy_ms").unwrap();
    assert!(busy.starts_with("Some(DoubleValue("), "{busy}");
}

#[test]
fn what_is_in_no_trace_is_not_sent_nor_what_is_not_sampled() {
    let nothing = |sampler, parent: &str| {
        let parent = parent.to_owned();
        traced(sampler, || attempt(&parent).in_scope(|| drop(phase!("read")))).is_empty()
    };
    assert!(traced("always_on", || drop(phase!("read"))).is_empty());
    assert!(nothing("always_on", "00-0-0-0"));
    assert!(nothing("always_off", PARENT));
    assert!(nothing("parentbased_always_on", &PARENT.replace("-01", "-00")));
    assert!(!nothing("parentbased_always_on", PARENT));
}

#[test]
fn contexts_are_read_as_they_are_written() {
    let context = TraceContext::parse(PARENT).unwrap();
    assert_eq!(context.to_string(), PARENT);
    for wrong in [
        "",
        "00",
        "01-0102030405060708090a0b0c0d0e0f10-1112131415161718-01",
        "00-00000000000000000000000000000000-1112131415161718-01",
        "00-0102030405060708090a0b0c0d0e0f10-0000000000000000-01",
        "00-0102030405060708090A0b0c0d0e0f10-1112131415161718-01",
        "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01-",
        "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-é1",
    ] {
        assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn nobody_is_told_a_context_where_nothing_is_sent() {
    assert_eq!(layer::samples(&TraceContext::parse(PARENT).unwrap()), None);
}

#[test]
fn no_span_has_a_secret() {
    let trees = traced("always_on", || {
        let attempt = attempt(PARENT);
        outcome(&attempt, "of hf_canary", Some("401 for hf_canary at http://me:pw@host"));
    });
    let shown = format!("{trees:?}");
    assert!(shown.contains("401 for [hidden]") && shown.contains("of [hidden]"), "{shown}");
    assert!(!shown.contains("hf_canary") && !shown.contains("me:pw"), "{shown}");
}

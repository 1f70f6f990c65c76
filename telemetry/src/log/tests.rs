use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::Value;
use tracing::subscriber::with_default;

use super::*;

/// What `events` logs, line by line.
pub(crate) fn lines(format: LogFormat, events: impl FnOnce()) -> Vec<String> {
    collect(format, "trace", events)
}

/// What `events` logs past a filter, as JSON.
pub(crate) fn lines_filtered(filter: &str, events: impl FnOnce()) -> Vec<String> {
    collect(LogFormat::Json, filter, events)
}

fn collect(format: LogFormat, filter: &str, events: impl FnOnce()) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let write = move |line: &str| sink.lock().unwrap().push(line.to_owned());
    let lines = Lines { format, colours: false, secrets: Secrets::default(), write };
    let filter = parse_filter(filter).unwrap();
    with_default(Registry::default().with(filter).with(lines), events);
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn one(format: LogFormat, events: impl FnOnce()) -> String {
    let lines = lines(format, events);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    line.clone()
}

fn json(events: impl FnOnce()) -> Value {
    serde_json::from_str(&one(LogFormat::Json, events)).unwrap()
}

#[test]
fn a_line_has_the_fields_of_the_spans_around_it() {
    let event = || {
        let run = tracing::info_span!("run", run = "flights-2013-01-31-g1", model_digest = "ab");
        let _run = run.enter();
        let shard = tracing::info_span!("shard", shard = 17, attempt = tracing::field::Empty);
        let _shard = shard.enter();
        shard.record("attempt", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        tracing::warn!(rows = 5000_u64, ratio = 0.5, ok = true, "a shard is {}", "slow");
    };
    let line = json(event);
    for (name, value) in [
        ("level", "WARN"),
        ("target", module_path!()),
        ("message", "a shard is slow"),
        ("run", "flights-2013-01-31-g1"),
        ("attempt", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("model_digest", "ab"),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!((&line["shard"], &line["rows"]), (&17.into(), &5000.into()));
    assert_eq!((&line["ratio"], &line["ok"]), (&0.5.into(), &true.into()));
    line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();

    let text = one(LogFormat::Text, event);
    let fields = "run=flights-2013-01-31-g1 shard=17 attempt=01ARZ3NDEKTSV4RRFFQ69G5FAV model_digest=ab rows=5000";
    assert!(text.contains(&format!(" WARN a shard is slow {fields}")), "{text}");
}

#[test]
fn the_innermost_value_of_a_field_wins() {
    let line = json(|| {
        let _outer = tracing::info_span!("outer", shard = 1).entered();
        let _inner = tracing::info_span!("inner", shard = 2).entered();
        tracing::info!(shard = 3, "x");
    });
    assert_eq!(line["shard"], 3);
}

#[test]
fn a_field_never_hides_a_part_of_the_line() {
    let line = json(|| tracing::info!(level = "secret", timestamp = 1, "x"));
    assert_eq!(line["level"], "INFO");
    assert_eq!((&line["field_level"], &line["field_timestamp"]), (&"secret".into(), &1.into()));
}

#[test]
fn an_error_is_written_with_its_causes() {
    #[derive(Debug, Error)]
    #[error("cannot write /out/x")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::ErrorKind::StorageFull.into());
    let line = json(|| {
        tracing::error!(error = &error as &(dyn std::error::Error + 'static), "x");
    });
    assert_eq!(line["error"], "cannot write /out/x: no storage space");
}

#[test]
fn values_are_bounded() {
    let line = one(LogFormat::Json, || tracing::info!(path = "é".repeat(1 << 20), "x"));
    assert!(line.len() < 10_000, "{}", line.len());
}

#[test]
fn numbers_that_json_lacks_are_text() {
    assert_eq!(json(|| tracing::info!(x = f64::NAN, "x"))["x"], "NaN");
}

#[test]
fn filters_parse_or_are_named() {
    parse_filter("info,nightshift_storage=trace").unwrap();
    let error = parse_filter("info,=loud=\n").err().map(|error| error.to_string()).unwrap();
    assert!(error.contains("info,=loud=") && error.contains("NIGHTSHIFT_LOG"), "{error}");
    assert!(!error.contains('\n'));
}

proptest! {
    /// Whatever a value holds, a line of text stays one line and sends nothing to a terminal,
    /// and a line of JSON gives the value back.
    #[test]
    fn no_value_breaks_a_line(message: String, value: String) {
        let event = || tracing::info!(path = value.as_str(), "{message}");
        let text = one(LogFormat::Text, event);
        let body = text.strip_suffix('\n').unwrap();
        let moves = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
        prop_assert!(!body.contains(moves), "{:?}", body);
        let line = json(event);
        prop_assert!(!one(LogFormat::Json, event).trim_end_matches('\n').contains(moves));
        prop_assert_eq!(line["path"].as_str(), Some(value.as_str()));
        prop_assert_eq!(line["message"].as_str(), Some(message.as_str()));
    }
}

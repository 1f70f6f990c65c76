//! The real sidecar: what is sent to it, what it serves, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exposition;
mod sidecar;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nightshift_tests::waiting::wait_for;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, Sum,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rustix::process::Signal;

use sidecar::{Sidecar, attribute, get, metric, program};

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;
const OPEN: &str = "application/openmetrics-text; version=1.0.0";

fn point(labels: &[(&str, &str)], time: u64, value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels.iter().map(|(key, value)| attribute(key, value)).collect(),
        time_unix_nano: time,
        value: Some(Value::AsDouble(value)),
        ..Default::default()
    }
}

fn gauge(name: &str, points: Vec<NumberDataPoint>) -> Metric {
    metric(name, "", "", Data::Gauge(Gauge { data_points: points }))
}

fn counter(name: &str, temporality: i32, points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum { data_points: points, aggregation_temporality: temporality, is_monotonic: true };
    metric(name, "{row}", "Rows.", Data::Sum(sum))
}

fn histogram() -> Metric {
    let point = HistogramDataPoint {
        count: 6,
        sum: Some(2.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.0],
        time_unix_nano: 1,
        ..Default::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: CUMULATIVE };
    metric("batch.duration", "s", "How long.", Data::Histogram(histogram))
}

#[test]
fn what_is_sent_is_served_in_both_formats() {
    let sidecar = Sidecar::start(&[]);
    let level = point(&[("odd.key", "a\\b\"c\nd")], 1, f64::NAN);
    let refused = sidecar.export(vec![
        counter("worker.rows", CUMULATIVE, vec![point(&[("task", "embed")], 1, 41.0)]),
        gauge("queue.level", vec![level]),
        histogram(),
    ]);
    assert_eq!(refused, None);
    let expected = r#"# HELP batch_duration_seconds How long.
# TYPE batch_duration_seconds histogram
batch_duration_seconds_bucket{service_name="worker",le="0.5"} 1
batch_duration_seconds_bucket{service_name="worker",le="1"} 3
batch_duration_seconds_bucket{service_name="worker",le="+Inf"} 6
batch_duration_seconds_sum{service_name="worker"} 2.5
batch_duration_seconds_count{service_name="worker"} 6
# TYPE queue_level gauge
queue_level{odd_key="a\\b\"c\nd",service_name="worker"} NaN
# HELP worker_rows_total Rows.
# TYPE worker_rows_total counter
worker_rows_total{service_name="worker",task="embed"} 41
"#;
    assert_eq!(sidecar.worker_page(), expected);
    let (content_type, page) = sidecar.scrape("text/plain");
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    exposition::check(&page, false);
    let (content_type, page) = sidecar.scrape(OPEN);
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    exposition::check(&page, true);
    let open = expected
        .replace("# HELP worker_rows_total", "# HELP worker_rows")
        .replace("# TYPE worker_rows_total", "# TYPE worker_rows")
        .replace("le=\"1\"", "le=\"1.0\"");
    assert!(page.starts_with(&open), "{page}");
    assert_eq!(get(sidecar.http, "/healthz", "").2, "ok\n");
    assert_eq!(get(sidecar.http, "/other", "").0, 404);
}

#[test]
fn deltas_add_up_and_repeated_calls_do_not() {
    let sidecar = Sidecar::start(&[]);
    let rows = |time, value| counter("rows", DELTA, vec![point(&[], time, value)]);
    assert_eq!(sidecar.export(vec![rows(1, 5.0)]), None);
    assert_eq!(sidecar.export(vec![rows(2, 2.0)]), None);
    let refused = sidecar.export(vec![rows(2, 2.0)]).unwrap();
    assert_eq!(refused.rejected_data_points, 1);
    assert_eq!(refused.error_message, "data points dropped for stale: 1");
    assert_eq!(sidecar.value("rows_total{service_name=\"worker\"}"), 7.0);
    assert_eq!(sidecar.value("nightshift_sidecar_dropped_total{reason=\"stale\"}"), 1.0);
}

#[test]
fn a_flood_is_dropped_and_counted() {
    let sidecar = Sidecar::start(&["--max-series", "50"]);
    let mut sent = 0;
    let mut send = |rounds: std::ops::Range<u32>| {
        for round in rounds {
            let points = (0..500).map(|n| {
                let value = format!("{round}-{n}-{}", "x".repeat(200));
                point(&[("id", value.as_str())], 1, 1.0)
            });
            sidecar.export(vec![gauge("flood", points.collect())]).unwrap();
            sent += 500;
        }
    };
    send(0..20);
    let before = resident_kb(sidecar.running.pid());
    send(20..120);
    let after = resident_kb(sidecar.running.pid());
    assert!(after < before + 8 * 1024, "from {before} kB to {after} kB");
    assert_eq!(sidecar.value("nightshift_sidecar_series"), 50.0);
    let dropped = sidecar.value("nightshift_sidecar_dropped_total{reason=\"series_limit\"}");
    assert_eq!(dropped, f64::from(sent - 50));
    exposition::check(&sidecar.scrape(OPEN).1, true);
}

/// Most memory of its own that an idle sidecar may have resident, in kB. Pages of the program come
/// on top: a debug build has several times as many as a release build.
const IDLE_MAX_KB: u64 = 10 << 10;
/// How much more it may have after anything that is sent to it, in kB: eight connections with two
/// calls of 1 MiB each, and what an allocator keeps of it.
const MORE_MAX_KB: u64 = 24 << 10;

#[test]
fn floods_of_every_kind_leave_memory_where_it_was() {
    let sidecar = Sidecar::start(&[]);
    let pid = sidecar.running.pid();
    assert_eq!(get(sidecar.http, "/metrics", "").0, 200);
    let (idle, own) = (resident_kb(pid), status_kb(pid, "RssAnon:"));
    assert!(own < IDLE_MAX_KB, "{own} kB of its own when idle, of {idle}");
    // Zeros: a thousandth of their size on the wire.
    for _ in 0..20 {
        let bomb = sidecar.export_compressed(vec![0; 8 << 20]).unwrap_err();
        assert_eq!(bomb.code(), tonic::Code::ResourceExhausted, "{bomb}");
    }
    let bombed = resident_kb(pid);
    // Names without end: the store is full after the first two thousand.
    for round in 0..20 {
        let one = |n: u32| gauge(&format!("m{round}_{n}"), vec![point(&[], 1, 1.0)]);
        let _ = sidecar.export((0..5_000).map(one).collect());
    }
    let flooded = resident_kb(pid);
    // Connections that say half a sentence and stay: on both ports, more than there are places.
    let halves = [
        (sidecar.http, &b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: "[..]),
        (sidecar.otlp, &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"[..]),
    ];
    let mut slow = Vec::new();
    for (address, half) in halves {
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).unwrap();
            // One that waits for a place may be refused by a full queue.
            let _ = stream.write_all(half);
            slow.push(stream);
        }
    }
    let held = resident_kb(pid);
    eprintln!(
        "resident: {idle} kB idle ({own} of its own), {bombed} kB after bombs, {flooded} kB after a flood of names, \
         {held} kB with {} slow connections",
        slow.len()
    );
    for now in [bombed, flooded, held] {
        assert!(now < idle + MORE_MAX_KB, "from {idle} kB to {now} kB");
    }
    // In a second, whatever hangs on it.
    let told = std::time::Instant::now();
    assert_eq!(sidecar.end(Signal::TERM).expect(0).code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

#[test]
fn what_cannot_be_served_is_refused_by_name_and_the_rest_is_kept() {
    let sidecar = Sidecar::start(&[]);
    let exponential = ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint::default()],
        aggregation_temporality: CUMULATIVE,
    };
    let many: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    let refused = sidecar.export(vec![
        metric("exponential", "", "", Data::ExponentialHistogram(exponential)),
        gauge("good", vec![point(&[], 1, 1.0), point(&[("a", &"x".repeat(300))], 1, 1.0)]),
        gauge("labels", vec![point(&many, 1, 1.0)]),
        gauge("", vec![point(&[], 1, 1.0)]),
        gauge("nightshift.sidecar.calls", vec![point(&[], 1, 1.0)]),
        counter("nan", CUMULATIVE, vec![point(&[], 1, f64::NAN)]),
        counter("odd", 0, vec![point(&[], 1, 1.0)]),
        counter("good", CUMULATIVE, vec![point(&[], 1, 1.0)]),
    ]);
    let refused = refused.unwrap();
    assert_eq!(refused.rejected_data_points, 8);
    for reason in [
        "kind: 1",
        "label_length: 1",
        "label_count: 1",
        "name: 1",
        "reserved_name: 1",
        "value: 1",
        "temporality: 1",
        "name_conflict: 1",
    ] {
        assert!(refused.error_message.contains(reason), "{reason}: {}", refused.error_message);
    }
    let page = "# TYPE good gauge\ngood{service_name=\"worker\"} 1\n";
    assert_eq!(sidecar.worker_page(), page);
}

#[test]
fn bytes_that_are_no_message_are_refused_and_harm_nothing() {
    let sidecar = Sidecar::start(&[]);
    // A metric whose name is no UTF-8: scope_metrics { metrics { name: ff fe } }.
    let bad_name = vec![0x12, 6, 0x12, 4, 0x0a, 2, 0xff, 0xfe];
    let mut nested = Vec::new();
    for _ in 0..200 {
        nested = [vec![0x0a, u8::try_from(nested.len() % 100).unwrap()], nested].concat();
    }
    for bytes in [bad_name, vec![0xff; 64]] {
        assert!(sidecar.export_bytes(bytes.clone()).is_err(), "{bytes:?}");
    }
    // Nested deeply, and yet a message of no metrics: it may be taken or refused.
    let _ = sidecar.export_bytes(nested);
    let long = sidecar.export_bytes(vec![0; 2 << 20]).unwrap_err();
    assert_eq!(long.code(), tonic::Code::OutOfRange, "{long}");
    assert_eq!(sidecar.export(vec![gauge("good", vec![point(&[], 1, 1.0)])]), None);
    assert_eq!(sidecar.value("good{service_name=\"worker\"}"), 1.0);
}

fn spans(count: usize) -> ExportTraceServiceRequest {
    let scope = ScopeSpans { spans: vec![Span::default(); count], ..Default::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

#[test]
fn traces_go_on_to_the_collector_or_are_counted() {
    let last = Sidecar::start(&[]);
    let refused = last.export_traces(spans(3)).unwrap().partial_success.unwrap();
    assert_eq!(refused.rejected_spans, 3);
    assert!(refused.error_message.contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
    assert_eq!(last.value("nightshift_sidecar_dropped_total{reason=\"spans\"}"), 3.0);
    // The one that drops them is the collector of another, which passes the verdict on.
    let first = Sidecar::start(&["--traces", &format!("http://{}", last.otlp)]);
    let refused = first.export_traces(spans(4)).unwrap().partial_success.unwrap();
    assert_eq!(refused.rejected_spans, 4);
    assert_eq!(last.value("nightshift_sidecar_dropped_total{reason=\"spans\"}"), 7.0);
    assert_eq!(last.end(Signal::TERM).expect(0).code(), Some(0));
    assert!(first.export_traces(spans(1)).is_err());
    assert_eq!(first.value("nightshift_sidecar_dropped_total{reason=\"spans\"}"), 5.0);
    program().args(["--traces", "https://collector"]).run().expect(78);
}

#[test]
fn the_control_group_is_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("memory.current"), "1048576\n").unwrap();
    std::fs::write(folder.path().join("memory.max"), "max\n").unwrap();
    std::fs::write(folder.path().join("cpu.stat"), "usage_usec 1500000\n").unwrap();
    let sidecar = Sidecar::run(program().arg("--pod-cgroup").arg(folder.path()));
    assert_eq!(sidecar.value("nightshift_cgroup_memory_current_bytes"), 1_048_576.0);
    assert_eq!(sidecar.value("nightshift_cgroup_cpu_usage_seconds_total"), 1.5);
    let (_, page) = sidecar.scrape(OPEN);
    assert!(!page.contains("memory_limit"), "{page}");
    let limits = |file: &str, text: &str| {
        std::fs::write(folder.path().join(file), text).unwrap();
        get(sidecar.http, "/limits", "").2
    };
    let none = r#"{"scope":"pod","memory_limit_bytes":null,"memory_used_bytes":1048576}"#;
    assert_eq!(limits("memory.max", "max\n"), none);
    let some = r#"{"scope":"pod","memory_limit_bytes":2097152,"memory_used_bytes":1048576}"#;
    assert_eq!(limits("memory.max", "2097152\n"), some);
    let less = r#"{"scope":"pod","memory_limit_bytes":2097152,"memory_used_bytes":1000000}"#;
    assert_eq!(limits("memory.stat", "inactive_file 48576\n"), less);
    exposition::check(&page, true);
}

#[test]
fn a_signal_ends_it_within_a_second_even_with_a_scrape_open() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut sidecar = Sidecar::start(&[]);
        assert_eq!(sidecar.export(vec![gauge("kept", vec![point(&[], 1, 1.0)])]), None);
        let mut open = TcpStream::connect(sidecar.http).unwrap();
        open.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
        // Another answer proves that the sidecar went on after it took the open one in.
        assert_eq!(get(sidecar.http, "/healthz", "").0, 200);
        sidecar.running.signal(signal);
        let told = std::time::Instant::now();
        wait_for("the sidecar ends", || sidecar.running.has_ended().then_some(()));
        assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
        sidecar.running.finish().expect(0);
    }
}

#[test]
fn it_lingers_for_a_last_scrape_until_a_second_signal() {
    let mut sidecar = Sidecar::start(&["--linger", "60s"]);
    assert_eq!(sidecar.export(vec![gauge("kept", vec![point(&[], 1, 1.0)])]), None);
    sidecar.running.signal(Signal::TERM);
    sidecar.running.wait_until_said("told to end", |said| said.contains("told to end"));
    assert_eq!(sidecar.value("kept{service_name=\"worker\"}"), 1.0);
    let finished = sidecar.end(Signal::TERM).expect(0);
    assert!(finished.elapsed < Duration::from_secs(60), "{:?}", finished.elapsed);
}

#[test]
fn starts_that_cannot_work_say_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--otlp", "--listen"), ("--listen", "--otlp")] {
        let finished = program().args([flag, &address, other, "127.0.0.1:0"]).run().expect(69);
        assert!(finished.stderr.contains(flag), "{}", finished.stderr);
    }
    for arguments in [
        ["--otlp", "0.0.0.0:0"],
        ["--max-series", "0"],
        ["--linger", "61s"],
        ["--linger", "soon"],
        ["--log-format", "xml"],
    ] {
        program().args(arguments).run().expect(64);
    }
    program().arg("--help").run().expect(0);
}

/// Memory of a process that is in use, in kB.
fn resident_kb(pid: u32) -> u64 {
    status_kb(pid, "VmRSS:")
}

/// A size of a process, in kB.
fn status_kb(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

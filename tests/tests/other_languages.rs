//! A Python program with the ordinary OpenTelemetry SDK beside a real sidecar.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

use std::net::SocketAddr;

use nightshift_tests::ports::free_port;
use nightshift_tests::process::Program;
use nightshift_tests::waiting::wait_for;
use nightshift_tests::{http, tools};
use serde_json::json;

/// What Prometheus sees of the program, by the rules of docs/sidecar.md.
const PAGE: [&str; 9] = [
    "# TYPE worker_rows_total counter",
    "worker_rows_total{service_name=\"python-worker\",task=\"embed\"} 42",
    "worker_queue{service_name=\"python-worker\"} 3",
    "worker_memory_bytes{service_name=\"python-worker\"} 1500000",
    "worker_batch_duration_seconds_bucket{service_name=\"python-worker\",le=\"0.1\"} 1",
    "worker_batch_duration_seconds_bucket{service_name=\"python-worker\",le=\"1\"} 2",
    "worker_batch_duration_seconds_bucket{service_name=\"python-worker\",le=\"+Inf\"} 3",
    "worker_batch_duration_seconds_sum{service_name=\"python-worker\"} 5.55",
    "worker_batch_duration_seconds_count{service_name=\"python-worker\"} 3",
];

fn through_the_sidecar(more: &[&str]) {
    let collector = free_port();
    let running = Program::sidecar()
        .args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
        .args(["--traces", &format!("http://127.0.0.1:{collector}")])
        .start();
    let (otlp, page) = wait_for("the sidecar says where it is", || {
        let said = running.stderr_so_far();
        let (_, places) = said.split_once(" receiving OTLP on ")?;
        let (otlp, rest) = places.split_once(" and serving HTTP on ")?;
        let (page, _) = rest.split_once('\n')?;
        Some((otlp.to_owned(), page.parse::<SocketAddr>().ok()?))
    });
    let port = collector.to_string();
    let words = [otlp.as_str(), port.as_str()].into_iter().chain(more.iter().copied());
    let printed = tools::script("otlp/program.py", words);
    let spans = json!([["python-worker", "batch"], ["python-worker", "shard"]]);
    assert_eq!(printed["spans"], spans);
    let (status, text) = http::get(page, "/metrics").unwrap();
    assert_eq!(status, 200);
    for line in PAGE {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("\nnightshift_sidecar_spans_forwarded_total 2\n"), "{text}");
}

#[test]
fn a_python_program_reaches_prometheus_and_the_collector() {
    through_the_sidecar(&[]);
}

#[test]
fn a_python_program_that_compresses_does_too() {
    through_the_sidecar(&["gzip"]);
}

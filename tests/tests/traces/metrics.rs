//! The numbers of workers that live for a moment, at a real sidecar.

use std::net::SocketAddr;

use nightshift_tests::bench::{Bench, SpecText};
use nightshift_tests::cluster::{Cluster, Setting};
use nightshift_tests::http;
use nightshift_tests::log;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::waiting::wait_for;

use crate::ENDPOINT;

struct Sidecar {
    _running: Running,
    otlp: SocketAddr,
    http: SocketAddr,
}

fn sidecar() -> Sidecar {
    let program = Program::sidecar().args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let running = program.start();
    let (otlp, http) = wait_for("the sidecar says where it is", || {
        let said = running.stderr_so_far();
        let (_, places) = said.split_once(" receiving OTLP on ")?;
        let (otlp, http) = places.lines().next()?.split_once(" and serving HTTP on ")?;
        Some((otlp.parse().ok()?, http.parse().ok()?))
    });
    Sidecar { _running: running, otlp, http }
}

/// The value of the only series of `name` whose labels contain `label`.
fn value(page: &str, name: &str, label: &str) -> f64 {
    let line = page.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') && rest.contains(label))
    });
    let line = line.unwrap_or_else(|| panic!("no {name} with {label}:\n{page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_worker_of_a_moment_leaves_its_numbers_and_no_noise() {
    let sidecar = sidecar();
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 2_000);
    let cluster = Cluster::start(bench, Setting::default());
    cluster.submit("all");
    let worker = cluster.worker().arg("--exit-when-idle");
    let ended = worker.env(ENDPOINT, format!("http://{}", sidecar.otlp)).run().expect(0);
    assert_eq!(log::events(&ended.stderr, "shard committed").len(), 10, "{ended}");
    let warnings = ended.stderr.lines().filter(|line| line.contains("\"level\":\"WARN\""));
    assert_eq!(warnings.count(), 0, "{ended}");

    let (_, page) = http::get(sidecar.http, "/metrics").unwrap();
    let service = "service_name=\"nightshift-worker\"";
    assert_eq!(value(&page, "nightshift_worker_rows_scored_total", service), 2_000.0);
    let committed = "outcome=\"committed\"";
    assert_eq!(value(&page, "nightshift_worker_attempts_total", committed), 10.0);
    assert_eq!(value(&page, "nightshift_worker_shard_duration_seconds_count", service), 10.0);
    assert!(value(&page, "nightshift_worker_batch_duration_seconds_count", service) >= 10.0);
    assert_eq!(value(&page, "nightshift_worker_model_load_seconds_count", service), 1.0);
    assert!(value(&page, "nightshift_worker_memory_resident_bytes", service) > 1e6);
    assert!(value(&page, "nightshift_worker_read_bytes_total", service) > 1e4);
    assert!(value(&page, "nightshift_worker_written_bytes_total", service) > 1e4);
}

#[test]
fn a_sidecar_without_a_collector_is_no_reason_to_warn() {
    let sidecar = sidecar();
    let bench = Bench::with(&SpecText::default(), "flights.parquet", 2_000);
    let endpoint = format!("http://{}", sidecar.otlp);
    let ended = crate::run(&bench, &endpoint).run().expect(0);
    assert!(!ended.stderr.contains("WARN"), "{ended}");
    let (_, page) = http::get(sidecar.http, "/metrics").unwrap();
    assert!(value(&page, "nightshift_sidecar_dropped_total", "reason=\"spans\"") > 10.0);
}

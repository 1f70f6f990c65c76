//! The pages of coordinator and sidecar, judged by `promtool` and by the table of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use nightshift_telemetry::metrics::{Metric, PARTS};
use nightshift_tests::http;
use nightshift_tests::process::{Program, Running};
use nightshift_tests::prometheus::promtool;

/// A sidecar and where it serves HTTP.
pub(crate) fn sidecar() -> (Running, SocketAddr) {
    let serving = "serving HTTP on ";
    let mut process =
        Program::sidecar().args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]).start();
    process.wait_until_said("where the sidecar serves", |said| said.contains(serving));
    let said = process.stderr_so_far();
    let address = said.split(serving).nth(1).unwrap().split_whitespace().next().unwrap();
    let address = address.parse().unwrap();
    (process, address)
}

/// A sidecar for a pod of a run, where it takes OTLP, and the coordinator that gets its numbers.
pub(crate) fn sidecar_of(coordinator: &str, run: &str) -> (Running, String) {
    let program = Program::sidecar().args(["--otlp", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let program = program
        .env("NIGHTSHIFT_COORDINATOR", coordinator)
        .env("NIGHTSHIFT_RUN", run)
        .env("POD_NAME", "flights-abc-0");
    let mut process = program.start();
    let receiving = "receiving OTLP on ";
    process.wait_until_said("where the sidecar receives", |said| said.contains(receiving));
    let said = process.stderr_so_far();
    let address = said.split(receiving).nth(1).unwrap().split_whitespace().next().unwrap();
    (process, format!("http://{address}"))
}

/// Fails unless `promtool check metrics` has nothing to say about a page, and every family on it
/// is one of the table, with its kind, its sentence and its labels; gives the families.
#[track_caller]
pub(crate) fn assert_page(page: &str) -> BTreeSet<String> {
    let checked = promtool(&["check", "metrics"], page);
    assert!(checked.code() == Some(0) && checked.stdout.is_empty(), "{checked}\n{page}");
    let known: BTreeMap<&str, &Metric> =
        PARTS.iter().flat_map(|part| part.metrics).map(|metric| (metric.name, metric)).collect();
    let mut families = BTreeSet::new();
    let mut family = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let metric = known.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(metric.help, help, "{name}");
            family = Some(*metric);
            families.insert(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let metric = family.unwrap();
            assert_eq!(rest, format!("{} {}", metric.name, metric.kind.as_str()));
        } else {
            let metric = family.unwrap();
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let labels = labels.split(',').filter_map(|label| label.split_once('='));
            let labels: BTreeSet<&str> = labels.map(|(name, _)| name).collect();
            let mut expected: BTreeSet<&str> = metric.labels.iter().copied().collect();
            if line.starts_with(&format!("{}_bucket", metric.name)) {
                expected.insert("le");
            }
            assert_eq!(labels, expected, "{line}");
        }
    }
    families
}

#[test]
fn the_sidecars_page_is_what_the_table_says() {
    let (_process, address) = sidecar();
    let (status, page) = http::get(address, "/metrics").unwrap();
    assert_eq!(status, 200);
    let families = assert_page(&page);
    assert!(families.contains("nightshift_sidecar_series"), "{families:?}");
}

#[test]
fn a_page_that_the_table_does_not_know_is_seen() {
    let bad = "# HELP nightshift_build_info What is running; always 1.\n\
               # TYPE nightshift_build_info counter\nnightshift_build_info 1\n";
    assert_ne!(promtool(&["check", "metrics"], bad).code(), Some(0));
    assert!(std::panic::catch_unwind(|| assert_page("# HELP nightshift_foo Bar.\n")).is_err());
}

//! Which metrics a query asks for.

use std::collections::BTreeSet;

use nightshift_telemetry::exposition::Kind;
use nightshift_telemetry::metrics::PARTS;

/// Metrics of others that rules and dashboard ask for.
const FOREIGN: [&str; 6] = [
    // cAdvisor, through the kubelet
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    // kube-state-metrics
    "kube_cronjob_next_schedule_time",
    "kube_cronjob_spec_suspend",
    "kube_pod_container_resource_limits",
    "kube_pod_container_status_last_terminated_reason",
];

/// The metrics named in a query.
pub(crate) fn metrics_in(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let prefixes = ["nightshift_", "kube_", "container_"];
    words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))).collect()
}

/// Whether somebody shows this series.
pub(crate) fn exists(name: &str) -> bool {
    let own = PARTS.iter().flat_map(|part| part.metrics);
    let is = |metric: &nightshift_telemetry::metrics::Metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(metric.name)),
        Kind::Gauge | Kind::Counter => metric.name == name,
    };
    FOREIGN.contains(&name) || own.into_iter().any(is)
}

/// Fails if a query asks for a series that nobody shows.
#[track_caller]
pub(crate) fn assert_known(query: &str) {
    let metrics = metrics_in(query);
    assert!(!metrics.is_empty(), "no metric in {query}");
    for name in metrics {
        assert!(exists(name), "nobody shows {name}, which is asked for by {query}");
    }
}

#[test]
fn every_alert_rule_asks_for_what_is_there() {
    let mut known = 0;
    for line in crate::alerts::rules().lines() {
        // Also in the words for people: a name there must be one too.
        for name in metrics_in(line).into_iter().filter(|name| !name.starts_with("container_image"))
        {
            assert!(exists(name), "nobody shows {name}: {line}");
            known += 1;
        }
    }
    assert!(known >= 8, "only {known} metrics are named");
}

#[test]
fn every_query_of_the_manual_asks_for_what_is_there() {
    let path = nightshift_tests::binaries::repository().join("docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("## Queries").nth(1).unwrap().split("## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.contains("nightshift_")).collect();
    assert!(rows.len() >= 5, "{rows:?}");
    rows.into_iter().for_each(assert_known);
}

#[test]
fn what_is_not_there_is_seen() {
    assert!(!exists("nightshift_rows_processed") && !exists("nightshift_shard_duration_seconds"));
    assert!(exists("nightshift_shard_duration_seconds_bucket"));
    assert_eq!(metrics_in("rate(nightshift_x[5m]) / kube_y{a=\"b\"}").len(), 2);
    assert!(std::panic::catch_unwind(|| assert_known("rate(nightshift_nothing[1m])")).is_err());
}

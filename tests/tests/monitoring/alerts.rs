//! The alert rules, as files: one source, valid, and each fires when it should and only then.

use std::path::PathBuf;

use nightshift_tests::binaries::repository;
use nightshift_tests::prometheus::promtool;
use nightshift_tests::tools;

/// Set to write the rule of the operator again.
const BLESS: &str = "NIGHTSHIFT_BLESS";
/// What is put before the rules to make them an object of the Prometheus Operator.
const HEAD: &str = "\
# Made of rules.yaml by `make metrics-docs`: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: nightshift
  labels:
    app.kubernetes.io/name: nightshift
spec:
";

pub(crate) fn folder() -> PathBuf {
    repository().join("deploy/components/monitoring")
}

/// The rules as Prometheus reads them.
pub(crate) fn rules() -> String {
    std::fs::read_to_string(folder().join("rules.yaml")).unwrap()
}

/// The names of the alerts.
pub(crate) fn names() -> Vec<String> {
    let rules = rules();
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn the_rules_of_the_operator_are_those_of_the_file() {
    let rules = rules();
    let body = rules.lines().skip_while(|line| line.starts_with('#'));
    let indented = body.map(|line| format!("{}{line}\n", if line.is_empty() { "" } else { "  " }));
    let right = format!("{HEAD}{}", indented.collect::<String>());
    let path = folder().join("prometheus-rule.yaml");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &right).unwrap();
    }
    let is = std::fs::read_to_string(&path).unwrap();
    assert!(is == right, "prometheus-rule.yaml is old; run `make metrics-docs`");
    let rendered = tools::kustomize(&folder());
    assert!(rendered.contains("kind: PrometheusRule"), "{rendered}");
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    let path = folder().join("rules.yaml");
    let checked = promtool(&["check", "rules", path.to_str().unwrap()], "").expect(0);
    assert!(checked.stdout.contains(&format!("{} rules found", names().len())), "{checked}");
    let cases = repository().join("tests/monitoring/alerts.yaml");
    let text = std::fs::read_to_string(&cases).unwrap();
    for name in names() {
        // The eval of each case is for one alert: once with samples, once without.
        let one = format!("alertname=\"{name}\",alertstate=\"firing\"");
        assert!(text.matches(&one).count() >= 2, "{name} has no two cases");
    }
    promtool(&["test", "rules", cases.to_str().unwrap()], "").expect(0);
}

#[test]
fn the_manual_names_every_alert() {
    let manual = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    for name in names() {
        assert!(manual.contains(&format!("| `{name}` |")), "docs/metrics.md lacks {name}");
    }
}

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Set to write the manual again.
const BLESS: &str = "NIGHTSHIFT_BLESS";
/// The lines of the manual around what is made here.
const BEGIN: &str = "<!-- made by make metrics-docs: begin -->\n";
const END: &str = "<!-- made by make metrics-docs: end -->\n";

fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|part| part.metrics)
}

#[test]
fn names_say_what_a_metric_is_and_none_is_there_twice() {
    let mut seen = BTreeSet::new();
    for metric in all() {
        let Metric { name, kind, labels, help, .. } = metric;
        assert!(seen.insert(metric.family()), "{name} is there twice");
        assert!(name.starts_with("nightshift_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(help.ends_with('.') && help.len() <= 120, "{name}: {help}");
        let sorted = labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(sorted && labels.len() <= 3, "{name}: {labels:?}");
        for label in *labels {
            let forbidden = ["run", "shard", "date", "pod", "worker", "attempt", "le"];
            assert!(!forbidden.contains(label), "{name} has a label that grows: {label}");
        }
    }
}

#[test]
fn the_manual_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}\n{}{END}{after}", manual());
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &right).unwrap();
        return;
    }
    assert!(text == right, "docs/metrics.md is old; run `make metrics-docs`");
}

//! The dashboard: valid queries of metrics that exist, in panels that are named by a question.

use nightshift_tests::prometheus::promtool;
use nightshift_tests::tools;
use serde_json::Value;

use crate::alerts::folder;
use crate::queries::assert_known;

/// What each row asks, in order.
const QUESTIONS: [&str; 4] =
    ["Is anything failing?", "How fast?", "When will it be done?", "Is memory near its limit?"];

fn dashboard() -> Value {
    let text = std::fs::read_to_string(folder().join("nightshift-dashboard.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The queries of all panels with variables filled in.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$namespace", "nightshift").replace("$name", ".*")).collect()
}

#[test]
fn every_query_is_valid_and_asks_for_what_is_there() {
    let queries = queries(&dashboard());
    assert!(queries.len() >= 15, "only {} queries", queries.len());
    queries.iter().for_each(|query| assert_known(query));
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(at, query)| serde_json::json!({ "record": format!("query:{at}"), "expr": query }))
        .collect();
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let file = tempfile::NamedTempFile::new().unwrap();
    // JSON is YAML.
    std::fs::write(file.path(), rules.to_string()).unwrap();
    promtool(&["check", "rules", file.path().to_str().unwrap()], "").expect(0);
}

#[test]
fn panels_are_named_by_a_question_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<&str> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(rows, QUESTIONS);
    let mut taken = std::collections::BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(title.ends_with('?'), "{title} is no question");
        let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(x < 24 && taken.insert((x, y)), "{title} lies on another or outside");
            }
        }
    }
}

#[test]
fn grafana_finds_the_dashboard() {
    let rendered = tools::kustomize(&folder());
    let map = rendered.split("---").find(|it| it.contains("kind: ConfigMap")).unwrap();
    assert!(
        map.contains("grafana_dashboard: \"1\"") && map.contains("name: nightshift-dashboard\n")
    );
    assert!(map.contains("nightshift-dashboard.json: |"), "{map}");
}

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn maps_are_merged_and_null_removes() {
    let base =
        json!({ "spec": { "nodeSelector": { "pool": "a", "zone": "x" }, "hostNetwork": true } });
    let overlay = json!({ "spec": { "nodeSelector": { "pool": "b" }, "hostNetwork": null } });
    let merged = json!({ "spec": { "nodeSelector": { "pool": "b", "zone": "x" } } });
    assert_eq!(merge(&base, &overlay), merged);
}

#[test]
fn a_known_list_is_merged_by_its_key_in_place() {
    let base = json!({ "containers": [
        { "name": "worker", "image": "a", "env": [{ "name": "X", "value": "1" }] },
        { "name": "log", "image": "b" },
    ] });
    let overlay = json!({ "containers": [
        { "name": "new", "image": "c" },
        { "name": "worker", "env": [{ "name": "Y", "value": "2" }, { "name": "X", "value": "3" }] },
    ] });
    let merged = json!({ "containers": [
        { "name": "worker", "image": "a",
          "env": [{ "name": "X", "value": "3" }, { "name": "Y", "value": "2" }] },
        { "name": "log", "image": "b" },
        { "name": "new", "image": "c" },
    ] });
    assert_eq!(merge(&base, &overlay), merged);
}

#[test]
fn another_list_is_replaced() {
    let base = json!({ "args": ["a", "b"], "tolerations": [{ "key": "x" }] });
    let overlay = json!({ "args": ["c"], "tolerations": [{ "key": "y" }] });
    assert_eq!(merge(&base, &overlay), overlay);
}

#[test]
fn an_element_is_deleted_by_its_key() {
    let base = json!({ "initContainers": [{ "name": "sidecar" }, { "name": "other" }] });
    let overlay = json!({ "initContainers": [{ "name": "sidecar", "$patch": "delete" }] });
    assert_eq!(merge(&base, &overlay), json!({ "initContainers": [{ "name": "other" }] }));
    assert_eq!(merge(&json!({}), &overlay), json!({ "initContainers": [] }));
}

#[test]
fn every_list_of_a_pod_that_kubernetes_merges_is_merged() {
    for (list, key) in MERGE_KEYS {
        let base = json!({ list: [{ key: 1, "old": 1 }] });
        let overlay = json!({ list: [{ key: 1, "new": 2 }, { key: 2 }] });
        let merged = json!({ list: [{ key: 1, "old": 1, "new": 2 }, { key: 2 }] });
        assert_eq!(merge(&base, &overlay), merged, "{list}");
    }
}

/// Objects of the shapes that matter: few fields, so that they meet, lists with and without keys.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u8..3).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let fields = ["a", "name", "containers", "env", "args", "mountPath", "volumeMounts"];
        let field = prop::sample::select(fields.to_vec()).prop_map(str::to_owned);
        let named = (0_u8..3, prop::collection::btree_map(field.clone(), inner.clone(), 0..3))
            .prop_map(|(name, fields): (u8, _)| {
                let mut map: Map<String, Value> = fields.into_iter().collect();
                map.insert("name".to_owned(), name.into());
                Value::Object(map)
            });
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(named, 0..3).prop_map(Value::from),
            prop::collection::btree_map(field, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn maps() -> impl Strategy<Value = Value> {
    values().prop_map(|value| match value {
        Value::Object(map) => Value::Object(map),
        other => json!({ "a": other }),
    })
}

proptest! {
    #[test]
    fn an_empty_overlay_changes_nothing(base in maps()) {
        prop_assert_eq!(merge(&base, &json!({})), base);
    }

    #[test]
    fn the_same_overlay_again_changes_nothing(base in maps(), overlay in maps()) {
        let once = merge(&base, &overlay);
        prop_assert_eq!(merge(&once, &overlay), once);
    }

    #[test]
    fn the_later_overlay_wins(base in maps(), one in 0..9, two in 0..9) {
        let (one, two) = (json!({ "a": { "x": one } }), json!({ "a": { "x": two } }));
        prop_assert_eq!(&merge(&merge(&base, &one), &two)["a"]["x"], &two["a"]["x"]);
    }
}

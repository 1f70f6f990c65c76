use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(text: &str) -> Value {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

#[test]
fn fields_stand_as_people_write_them() {
    let value = json!({
        "spec": { "zone": "x", "containers": [{ "args": ["--date", "yesterday"], "env": [],
            "image": "ghcr.io/nightshift-dev/nightshift:0.1.0", "name": "run",
            "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "1", "memory": "512Mi" } } }] },
        "metadata": { "labels": {}, "name": "a" }, "kind": "Job", "apiVersion": "batch/v1",
    });
    insta::assert_snapshot!(text(&value), @r#"
    apiVersion: batch/v1
    kind: Job
    metadata:
      name: a
      labels: {}
    spec:
      containers:
        - name: run
          image: ghcr.io/nightshift-dev/nightshift:0.1.0
          args:
            - --date
            - yesterday
          env: []
          resources:
            requests:
              cpu: "1"
              memory: 512Mi
            limits:
              memory: 1Gi
      zone: x
    "#);
}

#[test]
fn what_a_reader_may_take_for_something_else_is_quoted() {
    let doubtful = [
        "",
        " ",
        "~",
        "yes",
        "No",
        "ON",
        "off",
        "y",
        "N",
        "true",
        "FALSE",
        "null",
        "Null",
        "NaN",
        ".nan",
        ".inf",
        "1",
        "-1",
        "+1",
        "0x1f",
        "0o17",
        "017",
        "1e3",
        "1.5",
        "1_000",
        "12:30",
        "12:30:45",
        "2013-01-31",
        "2013-01-31T00:00:00Z",
        "- a",
        "-",
        "--- a",
        "?",
        ": a",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "{a}",
        "[a]",
        "{{yesterday}}",
        "a ",
        " a",
        "=",
        "<<",
        "\u{feff}a",
        "a\u{85}b",
        "a\tb",
        "é",
    ];
    for scalar in doubtful {
        let line = text(&json!({ "a": scalar }));
        assert!(line.starts_with("a: \"") && line.ends_with("\"\n"), "{line}");
        assert_eq!(parsed(&line), json!({ "a": scalar }), "{line}");
    }
    for scalar in ["a", "a b", "http://h:7070", "/data/x", "1Gi", "100m", "--date", "a,b", "Y2"] {
        assert_eq!(text(&json!({ "a": scalar })), format!("a: {scalar}\n"));
    }
}

#[test]
fn several_lines_are_a_block() {
    let value = json!({ "data": { "spec.yaml": "a: 1\n\n  b: 2\n", "x": "a\nb" }, "y": "a\n\n" });
    insta::assert_snapshot!(text(&value), @r#"
    data:
      spec.yaml: |
        a: 1

          b: 2
      x: |-
        a
        b
    "y": "a\n\n"
    "#);
    assert_eq!(parsed(&text(&value)), value);
}

#[test]
fn documents_have_their_comments_above_them() {
    let document =
        |comment: &str| Document { comment: comment.to_owned(), value: json!({ "a": 1 }) };
    assert_eq!(
        documents(&[document("one\n\ntwo"), document("three")]),
        "# one\n#\n# two\na: 1\n---\n# three\na: 1\n"
    );
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9:.# _-]{0,12}".prop_map(Value::from),
        "[ a:\n#-]{0,12}".prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(4, 30, 4, |inner| {
        let key = prop_oneof!["[a-z]{1,8}", any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_text_means_the_value(value in values()) {
        let text = text(&value);
        prop_assert_eq!(parsed(&text), value, "{}", text);
    }
}

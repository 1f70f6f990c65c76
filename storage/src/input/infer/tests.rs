//! Types follow from values.

use super::*;

fn kind(fields: &[&str]) -> ColumnKind {
    let mut evidence = Evidence::default();
    for field in fields {
        evidence.see_field(field.as_bytes());
    }
    evidence.kind()
}

#[test]
fn fields_show_their_type() {
    use ColumnKind::{Bool, Float, Int, Text};
    let cases: [(&[&str], ColumnKind); 16] = [
        (&["1", "-2", ""], Int),
        (&[" 1 "], Int),
        (&["1", "2.5"], Float),
        (&["1e3"], Float),
        (&["1", "NaN"], Float),
        (&["NaN", "inf"], Text),
        (&["true", "False"], Bool),
        (&["true", "1"], Text),
        (&["007"], Text),
        (&["0", "-0"], Int),
        (&["0.5"], Float),
        (&["00.5"], Text),
        (&["9223372036854775808"], Text),
        (&["9223372036854775807"], Int),
        (&["1", "x"], Text),
        (&["", ""], Text),
    ];
    for (fields, wanted) in cases {
        assert_eq!(kind(fields), wanted, "{fields:?}");
    }
}

#[test]
fn json_values_show_their_type() {
    use ColumnKind::{Bool, Float, Int, Text};
    let cases = [
        ("[1, null]", Int),
        ("[1, 1.0]", Float),
        ("[18446744073709551615]", Text),
        ("[true]", Bool),
        ("[true, 1]", Text),
        ("[\"1\"]", Text),
        ("[[1]]", Text),
        ("[null]", Text),
    ];
    for (values, wanted) in cases {
        let mut evidence = Evidence::default();
        let values: Vec<serde_json::Value> = serde_json::from_str(values).unwrap();
        values.iter().for_each(|value| evidence.see_json(value));
        assert_eq!(evidence.kind(), wanted, "{values:?}");
    }
}

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use super::*;

/// Set to write the manual again.
const BLESS: &str = "NIGHTSHIFT_BLESS";
/// The lines of the manual around what is made here.
const BEGIN: &str = "<!-- made by make logs-docs: begin -->\n";
const END: &str = "<!-- made by make logs-docs: end -->\n";

fn table(title: &str, fields: &[LogField]) -> String {
    let mut text = format!("{title}\n\n| field | type | meaning |\n|---|---|---|\n");
    for LogField { name, kind, meaning } in fields {
        let kind = match kind {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Truth => "true or false",
        };
        writeln!(text, "| `{name}` | {kind} | {meaning} |").unwrap();
    }
    text
}

#[test]
fn a_name_has_one_meaning() {
    let mut seen = BTreeSet::new();
    for field in ALWAYS.iter().chain(&STABLE) {
        assert!(seen.insert(field.name), "{} is there twice", field.name);
        let fits = |b: u8| b.is_ascii_lowercase() || b == b'_';
        assert!(field.name.bytes().all(fits), "{}", field.name);
    }
    assert!(LEADING.iter().eq(STABLE.iter().take(4).map(|field| &field.name)));
}

#[test]
fn the_manual_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/logs.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let always = table("Every line has these first, in this order:", &ALWAYS);
    let stable = table("These have one meaning in every program:", &STABLE);
    let right = format!("{before}{BEGIN}\n{always}\n{stable}\n{END}{after}");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &right).unwrap();
        return;
    }
    assert!(text == right, "docs/logs.md is old; run `make logs-docs`");
}

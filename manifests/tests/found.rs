//! YAML as people have it: rendered by Helm, printed by kubectl, with anchors, with DOS line ends,
//! and documents that are hardly any. What is found is written down beside each file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;

use nightshift_manifests::lint::{Options, Source, fix, lint};

const FILES: [&str; 5] = ["helm", "anchors", "list", "crlf", "odd"];

fn findings(source: &Source) -> String {
    let report = lint(std::slice::from_ref(source), Options::default());
    let mut said = format!("{} workloads\n", report.workloads);
    for it in &report.findings {
        let (at, rule) = (it.at, it.rule);
        writeln!(said, "{}:{} {} {}", at.line, at.column, rule.id, it.message).unwrap();
    }
    said
}

#[test]
fn files_as_people_have_them_are_read() {
    for name in FILES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found");
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let source = Source::new(format!("{name}.yaml"), text.as_str());
        insta::assert_snapshot!(name, findings(&source));

        let report = lint(std::slice::from_ref(&source), Options::default());
        let fixed = fix(&text, &report.findings);
        let comments = |text: &str| text.matches('#').count();
        assert_eq!(comments(&fixed.text), comments(&text), "{name}: a comment is gone");
        let again = Source::new(name, fixed.text.as_str());
        let report = lint(std::slice::from_ref(&again), Options::default());
        assert!(fix(&fixed.text, &report.findings).changes.is_empty(), "{name}: mended twice");
    }
}

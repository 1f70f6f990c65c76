//! Each rule against a file that breaks it and one that keeps it (`lint/RULE/{bad,good}.yaml`),
//! what `--fix` does to all of them, and damaged YAML.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use nightshift_manifests::lint::{
    Fixed, Options, Report, Source, diff, fix, lint, manual, rules, sarif,
};
use proptest::prelude::*;

/// Set to write the expected files again.
const BLESS: &str = "NIGHTSHIFT_BLESS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

fn sample(rule: &str, name: &str) -> String {
    let path = folder().join(rule).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn look(text: &str) -> Report {
    let source = Source::new("x.yaml", text);
    lint(&[source], Options::default())
}

fn fixed(text: &str) -> Fixed {
    fix(text, &look(text).findings)
}

#[track_caller]
fn expect_file(path: &Path, is: &str, command: &str) {
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(path, is).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        is == expected,
        "{} is not what it should be; if it is right now, run:\n  {command}\n\n{is}",
        path.display()
    );
}

const BLESS_COMMAND: &str =
    "NIGHTSHIFT_BLESS=1 cargo nextest run -p nightshift-manifests --test lint";

#[test]
fn every_rule_finds_the_bad_file_and_leaves_the_good_one() {
    for rule in rules() {
        let mut said = String::new();
        for finding in look(&sample(rule.id, "bad.yaml")).findings {
            if finding.rule.id == rule.id {
                let (at, fixable) = (finding.at, if finding.is_fixable() { " [fix]" } else { "" });
                writeln!(said, "{}:{} {}{fixable}", at.line, at.column, finding.message).unwrap();
            }
        }
        assert!(!said.is_empty(), "{} finds nothing in its bad file", rule.id);
        assert!(!rule.fixable || said.contains("[fix]"), "{}: {said}", rule.id);
        expect_file(&folder().join(rule.id).join("expected.txt"), &said, BLESS_COMMAND);
        let good = look(&sample(rule.id, "good.yaml"));
        let wrong: Vec<_> = good.findings.iter().filter(|it| it.rule.id == rule.id).collect();
        assert!(wrong.is_empty() && good.workloads > 0, "{}: {wrong:?}", rule.id);
    }
}

#[test]
fn a_clean_file_is_silent() {
    for rule in ["overlap", "ttl"] {
        let report = look(&sample(rule, "good.yaml"));
        assert!(report.findings.is_empty(), "{rule}: {:?}", report.findings);
    }
}

#[test]
fn folders_are_those_of_rules() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(rules().any(|rule| rule.id == name), "{name} is no rule");
    }
}

#[test]
fn fixes_mend_what_they_are_for_and_a_second_time_nothing() {
    for rule in rules() {
        let bad = sample(rule.id, "bad.yaml");
        let once = fixed(&bad);
        if rule.fixable {
            assert!(once.changes.iter().any(|change| change.rule == rule.id), "{}", rule.id);
            let path = folder().join(rule.id).join("fix.diff");
            expect_file(&path, &diff("bad.yaml", &bad, &once), BLESS_COMMAND);
            let left = look(&once.text).findings;
            assert!(!left.iter().any(|it| it.rule.id == rule.id), "{}: {left:?}", rule.id);
        }
        let twice = fixed(&once.text);
        assert!(twice.changes.is_empty(), "{}: {:?}", rule.id, twice.changes);
        assert_eq!(twice.text, once.text);
        assert_eq!(diff("x", &once.text, &twice), "");
    }
}

#[test]
fn layout_survives_a_fix() {
    let text = "apiVersion: batch/v1\r\nkind: CronJob\r\nmetadata: {name: a}\r\nspec:\r\n  \
                # when\r\n  schedule: '0 3 * * *'   # at three\r\n  concurrencyPolicy: \"Allow\" # ?\r\n  \
                jobTemplate:\r\n    spec:\r\n      # the pod\r\n      template: {}";
    let fixed = fixed(text);
    assert!(fixed.text.contains("  concurrencyPolicy: Forbid # ?\r\n"), "{}", fixed.text);
    assert!(
        fixed.text.contains("      # the pod\r\n      backoffLimit: 3\r\n      template: {}"),
        "{}",
        fixed.text
    );
    assert!(!fixed.text.replace("\r\n", "").contains('\n'), "{:?}", fixed.text);
    let last = "apiVersion: batch/v1\nkind: Job\nspec:\n  template: {}\n  backoffLimit: 1";
    assert!(
        self::fixed(last).text.ends_with("  backoffLimit: 1\n  ttlSecondsAfterFinished: 86400")
    );
}

#[test]
fn anchors_and_braces_are_left_to_people() {
    for text in [
        "apiVersion: batch/v1\nkind: CronJob\nspec: {schedule: '@daily'}\n",
        "apiVersion: batch/v1\nkind: CronJob\nspec: &s\n  schedule: '@daily'\n",
    ] {
        let report = look(text);
        assert!(report.findings.iter().any(|it| it.rule.id == "overlap"), "{text}");
        assert!(fixed(text).changes.is_empty(), "{text}");
    }
}

#[test]
fn a_comment_with_a_reason_silences() {
    let report = look(&sample("ignore", "good.yaml"));
    assert_eq!((report.silenced, report.findings.len()), (1, 0), "{:?}", report.findings);
}

#[test]
fn lists_and_other_kinds_are_read() {
    let items = "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: batch/v1\n    kind: Job\n    \
                 spec: {}\n  - apiVersion: v1\n    kind: Service\n";
    assert_eq!(look(items).workloads, 1);
    let volcano = look("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {x: 1}\n");
    assert!(volcano.workloads == 0 && volcano.findings.is_empty());
}

#[test]
fn sarif_is_as_code_scanning_takes_it() {
    let source = Source::new("deploy/a b.yaml", sample("overlap", "bad.yaml"));
    let report = lint(std::slice::from_ref(&source), Options::default());
    let document = sarif(&[source], &report.findings, "0.1.0");
    let run = &document["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(document["version"], "2.1.0");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(driver["rules"][index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "deploy/a%20b.yaml");
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
    }
}

#[test]
fn the_manual_is_that_of_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md");
    expect_file(&path, &manual(), "make lint-docs");
}

/// Bytes that mean something in YAML, and some that never should stand there.
const NASTY: &[u8] = b"{}[]:-,&*!|>'\"%@`#?\n\r\t \0\xff<ae0";

#[test]
fn a_file_that_is_no_text_is_found_and_left_alone() {
    let mut bytes = sample("overlap", "bad.yaml").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 3;
    bytes[at] = 0xff;
    let source = Source::of_bytes("latin1.yaml", bytes);
    let report = lint(std::slice::from_ref(&source), Options::default());
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.rule.id, finding.at.line, finding.at.column), ("unreadable", 2, 3));
    assert!(fix(&source.text, &report.findings).changes.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 4000 }))]

    /// Any bytes at all: no panic, and places that are in the file.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 2;
        let source = Source::of_bytes("any", bytes);
        let report = lint(std::slice::from_ref(&source), Options::default());
        prop_assert!(report.findings.iter().all(|it| it.at.line <= lines));
        fix(&source.text, &report.findings);
    }

    /// Whatever happens to a file: no panic, and what `fix` gives back mends to itself.
    #[test]
    fn damaged_files_are_survived(
        rule in 0..rules().count(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, 0..NASTY.len()), 1..8),
    ) {
        let rule = rules().nth(rule).unwrap();
        let mut bytes = sample(rule.id, "bad.yaml").into_bytes();
        for (at, kind, byte) in cuts {
            let at = at.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = NASTY[byte],
                1 => bytes.insert(at, NASTY[byte]),
                2 => { bytes.remove(at); }
                _ => {
                    let line = bytes[at..].iter().take(60).copied().collect::<Vec<_>>();
                    bytes.splice(at..at, line);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let report = look(&text);
        let lines = text.lines().count().max(1) + 1;
        prop_assert!(report.findings.iter().all(|it| (1..=lines).contains(&it.at.line)));
        let once = fix(&text, &report.findings);
        let _ = diff("x", &text, &once);
        let twice = fixed(&once.text);
        prop_assert_eq!(&twice.text, &once.text);
    }
}

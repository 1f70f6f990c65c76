use crate::plan::LineageTarget;
use crate::spec::{Bound, Spec, SpecError};

const GOOD: &str = "apiVersion: nightshift.dev/v1
kind: BatchInference
metadata: { name: flights }
spec:
  input:  { uri: \"data/date={date}/*.parquet\", id: [id] }
  model:  { uri: model, version: v3 }
  task:   { kind: tabular }
  output: { uri: out }
";

fn parsed(report: &str) -> Result<Spec, SpecError> {
    Spec::parse("s.yaml", &format!("{GOOD}  report: {report}\n"))
}

fn bound(report: &str) -> Result<Bound, SpecError> {
    parsed(report)?.bind("s.yaml", "/w", "2013-01-01".parse().unwrap())
}

#[test]
fn places_are_filled_in_and_absolute() {
    let report = r#"{ uri: "reports/{name}/{model_version}", webhook: { url: "https://example.com/x", secret_env: NIGHTSHIFT_S }, lineage: { uri: "events-{date}.jsonl" } }"#;
    let reporting = bound(report).unwrap().reporting.unwrap();
    assert_eq!(reporting.folder.as_deref(), Some("/w/reports/flights/v3"));
    assert_eq!(reporting.input, "/w/data/date=2013-01-01/*.parquet");
    assert_eq!(reporting.output, "/w/out");
    let lineage = reporting.lineage.clone().unwrap();
    assert_eq!(lineage.target, LineageTarget::File("/w/events-2013-01-01.jsonl".into()));
    assert_eq!(lineage.namespace, "flights", "the spec's name, where none is given");
    let text = serde_json::to_string(&reporting).unwrap();
    assert_eq!(serde_json::from_str::<crate::plan::Reporting>(&text).unwrap(), reporting);
}

#[test]
fn reports_may_lie_in_a_bucket() {
    let reporting = bound("{ uri: \"gs://lake/reports/{name}\" }").unwrap().reporting.unwrap();
    assert_eq!(reporting.folder.as_deref(), Some("gs://lake/reports/flights"));
}

#[test]
fn a_spec_that_names_nobody_tells_nobody() {
    assert_eq!(bound("{}").unwrap().reporting, None);
    let spec = Spec::parse("s.yaml", GOOD).unwrap();
    assert_eq!(spec.bind("s.yaml", "/w", "2013-01-01".parse().unwrap()).unwrap().reporting, None);
}

#[test]
fn each_mistake_says_what_to_write() {
    for (report, said) in [
        (r#"{ uri: "a/../b" }"#, "s.yaml:9:18: spec.report.uri: `..` may not lead out of a folder"),
        ("{ uri: ftp://b/k }", "spec.report.uri: `ftp://` is not supported by this build"),
        ("{ uri: s3://k:s@b/k }", "spec.report.uri: it holds credentials"),
        (
            "{ lineage: { uri: s3://lake/events.jsonl } }",
            "spec.report.lineage.uri: a line cannot be added to s3://lake/events.jsonl",
        ),
        (
            "{ uri: data/date=2013-01-01/r }",
            "lies where the input /w/data/date={date}/*.parquet is read",
        ),
        ("{ uri: out/_nightshift/v1/x }", "lies among the documents of the output"),
        ("{ webhook: { url: example.com } }", "spec.report.webhook.url: it is not a URL"),
        ("{ webhook: { url: \"https://u:p@example.com\" } }", "a spec is no place for a secret"),
        ("{ webhook: { url: \"http://169.254.169.254/\" } }", "gets its own credentials"),
        ("{ webhook: { url: \"https://x.y\", secret_env: whsec_abc } }", "never the secret"),
        (
            "{ webhook: { url: \"https://x.y\", secret: abc } }",
            "spec.report.webhook.secret: unknown field",
        ),
        (
            "{ lineage: { namespace: n } }",
            "spec.report.lineage: it needs exactly one of uri and url",
        ),
        ("{ lineage: { uri: a, url: \"https://x.y\" } }", "it needs exactly one of uri and url"),
        (
            "{ lineage: { uri: a, namespace: \" \" } }",
            "spec.report.lineage.namespace: ` ` is not a namespace",
        ),
    ] {
        let error = bound(report).unwrap_err().to_string();
        assert!(error.contains(said), "{report}\n{error}");
    }
}

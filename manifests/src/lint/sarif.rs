//! Findings as SARIF 2.1.0, which GitHub's code scanning shows beside the lines
//! (<https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning>).

use serde_json::{Value, json};

use super::{Finding, Severity, Source, rules};

/// The findings as one SARIF document. Paths go out as they came in, relative to the repository if
/// that is where the command was called.
pub fn sarif(sources: &[Source], findings: &[Finding], version: &str) -> Value {
    let descriptors: Vec<Value> = rules()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.what },
                "fullDescription": { "text": rule.why },
                "help": { "text": rule.remedy },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let uri = sources.get(finding.source).map(|it| uri(&it.name)).unwrap_or_default();
            let object = match finding.object.as_str() {
                "" => String::new(),
                object => format!("{object}: "),
            };
            let (rule, message) = (finding.rule, &finding.message);
            let text = format!("{object}{message}. {} {}", rule.why, rule.remedy);
            json!({
                "ruleId": rule.id,
                "ruleIndex": rules().position(|it| it.id == rule.id),
                "level": level(rule.severity),
                "message": { "text": text },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": uri },
                        "region": { "startLine": finding.at.line, "startColumn": finding.at.column },
                    },
                }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "nightshift lint",
                    "version": version,
                    "informationUri": "https://github.com/nightshift-dev/nightshift",
                    "rules": descriptors,
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A path as a relative or file URI: what is no plain character is written as %XX.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let mut uri = scheme.to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("./a b/ü.yaml"), "a%20b/%C3%BC.yaml");
        assert_eq!(uri("/x:y.yaml"), "file:///x%3Ay.yaml");
    }
}

//! Findings for people, by file, in 80 columns.

use std::collections::HashSet;
use std::fmt::Write;
use std::io::IsTerminal;

use nightshift_manifests::lint::{Finding, Report, Severity, Source, rules as all_rules};
use nightshift_worker::front::failure::colours;

use super::FileChange;
use crate::prose;

const INDENT: &str = "      ";

struct Paint {
    on: bool,
}

impl Paint {
    fn detect() -> Self {
        Self { on: colours(std::io::stdout().is_terminal()) }
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn severity(&self, severity: Severity) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Info => "1;34",
        };
        self.with(code, severity.name())
    }
}

/// Everything that was found, and a line that counts it.
pub(super) fn report(sources: &[Source], report: &Report, changes: &[FileChange<'_>]) -> String {
    let paint = Paint::detect();
    let mut out = String::new();
    // Why and what to do is said once for each rule.
    let mut explained = HashSet::new();
    for (index, source) in sources.iter().enumerate() {
        let name = prose::harmless(&source.name);
        for it in changes.iter().filter(|it| it.file == source.name) {
            let (line, set, rule) = (it.change.line, &it.change.set, it.change.rule);
            out.push_str(&format!("{name}:{line}: set {set} ({rule})\n"));
        }
        for finding in report.findings.iter().filter(|finding| finding.source == index) {
            let first = explained.insert(finding.rule.id);
            out.push_str(&shown(&name, finding, first, &paint));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&summary(sources, report, changes));
    out
}

fn shown(name: &str, finding: &Finding, first: bool, paint: &Paint) -> String {
    let rule = finding.rule;
    let place = format!("{name}:{}:{}:", finding.at.line, finding.at.column);
    let severity = paint.severity(rule.severity);
    let mut out = format!("{} {severity} {}\n", paint.with("1", &place), rule.id);
    let object = prose::cut(&prose::harmless(&finding.object), 60);
    let message = prose::cut(&prose::harmless(&finding.message), 400);
    let said = if object.is_empty() { message } else { format!("{object}: {message}") };
    out.push_str(&paragraph(&said));
    if first {
        out.push_str(&paragraph(rule.why));
        let mark = if finding.is_fixable() { " (--fix does it)" } else { "" };
        out.push_str(&paragraph(&format!("Fix: {}{mark}", rule.remedy)));
    }
    out
}

fn paragraph(text: &str) -> String {
    let wrapped = prose::wrap(text, prose::WIDTH - INDENT.len());
    wrapped.lines().map(|line| format!("{INDENT}{line}\n")).collect()
}

fn summary(sources: &[Source], report: &Report, changes: &[FileChange<'_>]) -> String {
    let count = |severity: Severity| {
        report.findings.iter().filter(|it| it.rule.severity == severity).count()
    };
    let fixable = report.findings.iter().filter(|finding| finding.is_fixable()).count();
    let found = match report.findings.len() {
        0 => "nothing found".to_owned(),
        _ => format!(
            "{}, {}, {}",
            counted(count(Severity::Error), "error"),
            counted(count(Severity::Warning), "warning"),
            counted(count(Severity::Info), "note"),
        ),
    };
    let workloads = counted(report.workloads, "workload");
    let files = counted(sources.len(), "file");
    let mut out = format!("{found} in {workloads} of {files}");
    if report.silenced > 0 {
        // A String takes everything.
        let _ = write!(out, "; {} silenced", report.silenced);
    }
    out.push('\n');
    if !changes.is_empty() {
        let _ = writeln!(out, "{} made", counted(changes.len(), "change"));
    }
    if fixable > 0 {
        let _ = writeln!(out, "{fixable} of them can be mended with --fix");
    }
    out
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `--rules`.
pub(super) fn rules() -> String {
    let paint = Paint::detect();
    let mut out = String::new();
    for rule in all_rules() {
        let fixable = if rule.fixable { ", --fix" } else { "" };
        let (id, severity) = (paint.with("1", rule.id), paint.severity(rule.severity));
        let _ = writeln!(out, "{id} ({severity}{fixable})");
        out.push_str(&paragraph(&prose::sentence(rule.what)));
    }
    out
}

/// Lines of a file for a terminal: what would move its cursor is left out.
pub(super) fn harmless_lines(text: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    text.lines().map(|line| format!("{}\n", prose::harmless(line))).collect()
}

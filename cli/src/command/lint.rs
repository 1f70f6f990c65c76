//! `nightshift lint`: the usual mistakes of batch work, in any Job or CronJob.

use std::path::Path;

use nightshift_core::exit::Exit;
use nightshift_manifests::lint::{self, Change, Finding, Fixed, Options, Report, Severity, Source};
use nightshift_worker::front::failure::Failure;
use serde::Serialize;
use serde_json::json;

use super::{print, print_json};
use crate::args::{LintArgs, LintFormatArg};
use crate::prose;

mod files;
mod text;

/// What `--fix` did to one file.
#[derive(Debug, Serialize)]
struct FileChange<'a> {
    file: &'a str,
    #[serde(flatten)]
    change: Change,
}

pub(crate) fn perform(args: &LintArgs) -> Result<Exit, Failure> {
    if args.rules {
        return rules(args.output_format).map(|()| Exit::Done);
    }
    if args.fix && !args.dry_run && args.files.iter().any(|path| path == Path::new("-")) {
        let why = "--fix cannot write to standard input; add --dry-run, or name a file";
        return Err(Failure::new(Exit::Usage, why));
    }
    if args.dry_run && args.output_format != LintFormatArg::Text {
        let why = "--dry-run prints a diff; leave out --output-format";
        return Err(Failure::new(Exit::Usage, why));
    }
    let mut sources = files::read(&args.files)?;
    let options = Options { kubernetes: args.kubernetes_version };
    let mut report = lint::lint(&sources, options);
    let mut changes = Vec::new();
    if args.fix {
        let fixed = fix_all(&sources, &report);
        if args.dry_run {
            return dry_run(&sources, &fixed);
        }
        for (index, fixed) in fixed {
            files::replace(Path::new(&sources[index].name), &fixed.text)?;
            sources[index].text = fixed.text;
            changes.extend(fixed.changes.into_iter().map(|change| (index, change)));
        }
        report = lint::lint(&sources, options);
    }
    let changes: Vec<FileChange<'_>> = changes
        .into_iter()
        .map(|(index, change)| FileChange { file: &sources[index].name, change })
        .collect();
    match args.output_format {
        LintFormatArg::Text => print(&text::report(&sources, &report, &changes))?,
        LintFormatArg::Json => print_json(&json_report(&sources, &report, &changes))?,
        LintFormatArg::Sarif => {
            let version = env!("CARGO_PKG_VERSION");
            print_json(&lint::sarif(&sources, &report.findings, version))?;
        }
    }
    let failed = report.findings.iter().any(|it| it.rule.severity == Severity::Error);
    Ok(if failed { Exit::Found } else { Exit::Done })
}

/// The files that `--fix` would change.
fn fix_all(sources: &[Source], report: &Report) -> Vec<(usize, Fixed)> {
    let fixed = sources.iter().enumerate().map(|(index, source)| {
        let own = report.findings.iter().filter(|finding| finding.source == index);
        (index, lint::fix(&source.text, own))
    });
    fixed.filter(|(_, fixed)| !fixed.changes.is_empty()).collect()
}

fn dry_run(sources: &[Source], fixed: &[(usize, Fixed)]) -> Result<Exit, Failure> {
    let mut out = String::new();
    for (index, fixed) in fixed {
        let name = prose::harmless(&sources[*index].name);
        out.push_str(&lint::diff(&name, &sources[*index].text, fixed));
    }
    print(&text::harmless_lines(&out))?;
    Ok(Exit::Done)
}

fn rules(format: LintFormatArg) -> Result<(), Failure> {
    if format == LintFormatArg::Text {
        return print(&text::rules());
    }
    let rules: Vec<_> = lint::rules()
        .map(|rule| {
            json!({
                "id": rule.id, "severity": rule.severity, "what": rule.what,
                "why": rule.why, "fix": rule.remedy, "fixable": rule.fixable,
            })
        })
        .collect();
    print_json(&rules)
}

fn json_report(
    sources: &[Source],
    report: &Report,
    changes: &[FileChange<'_>],
) -> serde_json::Value {
    let finding = |finding: &Finding| {
        json!({
            "file": sources[finding.source].name,
            "line": finding.at.line,
            "column": finding.at.column,
            "rule": finding.rule.id,
            "severity": finding.rule.severity,
            "object": finding.object,
            "message": finding.message,
            "why": finding.rule.why,
            "fix": finding.rule.remedy,
            "fixable": finding.is_fixable(),
        })
    };
    json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "changes": changes,
        "files": sources.len(),
        "workloads": report.workloads,
        "silenced": report.silenced,
    })
}

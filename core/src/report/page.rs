//! The report as one page of HTML: for people, to be sent around, kept and printed.
//!
//! The page is one file: no script, nothing that is fetched, and a policy that forbids both to
//! whatever reads it. All text that comes from a spec, a path or a row is escaped.

use std::fmt::Write;

use jiff::Timestamp;

use super::study::FullReport;
use crate::conclusion::{FinalState, Totals};
use crate::describe::cut;
use crate::figures::{bytes, duration, percent, thousands};
use crate::ids::Partition;

mod charts;
mod scores;
mod text;
mod times;
mod troubles;

use text::Safe;

/// The style sheet, which is part of the page.
const STYLE: &str = include_str!("page/style.css");
/// Characters of a message or a name that are shown.
const TEXT_SHOWN: usize = 240;

/// The page of `report`. The places of input and output are shown where they are known: stored
/// reports know them only relative to their root.
pub fn page(report: &FullReport, places: Option<Places<'_>>) -> String {
    let verdict = &report.report.verdict;
    let title = title(report);
    let sections = [
        summary(report),
        facts(report, places),
        troubles::rows(&verdict.totals),
        troubles::rejects(&verdict.totals),
        troubles::given_up(verdict),
        scores::section(verdict.scores.as_ref()),
        times::shards(&report.shards),
        times::effort(&report.effort),
        footer(report),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: {state}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}\n</main>\n</body>\n</html>\n",
        sections
            .iter()
            .filter(|section| !section.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join("\n"),
        title = Safe(title),
        state = verdict.state.as_str(),
    )
}

/// Where a run read and wrote, as absolute paths.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The input as the spec names it.
    pub input: &'a str,
    /// The output root.
    pub output: &'a str,
}

fn title(report: &FullReport) -> String {
    let run = &report.report.verdict.run;
    match run.partition {
        Partition::All => run.name.to_string(),
        Partition::Date(date) => format!("{} for {date}", run.name),
    }
}

/// What a reader in a hurry wants to know.
fn summary(report: &FullReport) -> String {
    let verdict = &report.report.verdict;
    let Totals { rows_in, rows_out, rows_rejected, rows_quarantined, .. } = verdict.totals;
    let rate = match report.elapsed_s {
        s if s > 0.0 && rows_out > 0 => {
            format!("{} rows a second", thousands((rows_out as f64 / s) as u64))
        }
        _ => "from plan to last shard".to_owned(),
    };
    let warn = |rows: u64, class: &'static str| if rows > 0 { class } else { "" };
    let share = |rows: u64| format!("{} of all rows", percent(rows as f64, rows_in as f64));
    let tiles = [
        ("", "rows scored", thousands(rows_out), format!("of {}", thousands(rows_in))),
        (
            warn(rows_rejected, "warn"),
            "rows rejected",
            thousands(rows_rejected),
            share(rows_rejected),
        ),
        (
            warn(rows_quarantined, "bad"),
            "rows given up",
            thousands(rows_quarantined),
            share(rows_quarantined),
        ),
        ("", "took", duration(report.elapsed_s), rate),
    ];
    let mut html = format!(
        "<header><h1>{}</h1> <span class=\"state {state}\">{state}</span></header>\n<p class=\"soft\">{}</p>\n<div class=\"tiles\">",
        Safe(title(report)),
        sentence(report),
        state = verdict.state.as_str(),
    );
    for (class, name, value, more) in tiles {
        let _ = write!(
            html,
            "<div class=\"tile {class}\"><span class=\"soft\">{name}</span><b>{value}</b><span class=\"soft\">{more}</span></div>"
        );
    }
    html.push_str("</div>");
    if report.rows_cut > 0 {
        let _ = write!(
            html,
            "<p class=\"soft\">{} longer than the model takes: of those the beginning alone was read.</p>",
            counted(report.rows_cut, "text")
        );
    }
    html
}

/// The verdict in words.
fn sentence(report: &FullReport) -> String {
    let verdict = &report.report.verdict;
    let Totals { shards, quarantined, rows_rejected, .. } = verdict.totals;
    let at = minute(verdict.decided_at);
    match verdict.state {
        FinalState::Succeeded if rows_rejected > 0 => format!(
            "Finished {at}. Every shard is complete; the rejected rows are in files beside the predictions."
        ),
        FinalState::Succeeded => format!("Finished {at}. Every row has a prediction."),
        FinalState::Partial => format!(
            "Ended {at}. {} of {} shards were given up: their rows have no prediction yet.",
            thousands(quarantined),
            thousands(shards)
        ),
        FinalState::Failed => format!("Ended {at}. No shard could be scored."),
    }
}

/// What was read, used and written.
fn facts(report: &FullReport, places: Option<Places<'_>>) -> String {
    let stored = &report.report;
    let totals = &stored.verdict.totals;
    let input = match (places, &stored.input.first) {
        (Some(places), _) => places.input,
        (None, Some(first)) => first.as_str(),
        (None, None) => "no files",
    };
    let output = match places {
        Some(places) => format!("{}/{}", places.output, stored.output),
        None => stored.output.clone(),
    };
    let inherited = match totals.inherited {
        0 => String::new(),
        count => format!(", {} of them taken over from an earlier generation", thousands(count)),
    };
    let version = match &stored.model.version {
        Some(version) => format!("version {}, ", Safe(version)),
        None => String::new(),
    };
    let workers = match report.workers {
        1 => "1 worker".to_owned(),
        many => format!("{} workers", thousands(many)),
    };
    let lines = [
        (
            "Input",
            format!("<code>{}</code>", Safe(cut(input, TEXT_SHOWN))),
            format!("{} in {}", counted(stored.input.files, "file"), bytes(stored.input.bytes)),
        ),
        (
            "Model",
            format!("<code>{}</code>", Safe(cut(&stored.model.uri, TEXT_SHOWN))),
            format!("{version}SHA-256 <code>{:.16}…</code>", stored.model.digest.to_string()),
        ),
        (
            "Output",
            format!("<code>{}</code>", Safe(cut(&output, TEXT_SHOWN))),
            format!("{}, {}", stored.output_format.extension(), bytes(totals.output_bytes)),
        ),
        (
            "Shards",
            format!("{} complete{inherited}", thousands(totals.committed)),
            format!("{} given up; {workers}", thousands(totals.quarantined)),
        ),
    ];
    let mut html = "<section><h2>Input, model, output</h2><table class=\"facts\">".to_owned();
    for (name, what, more) in lines {
        let _ =
            write!(html, "<tr><th>{name}</th><td>{what}</td><td class=\"soft\">{more}</td></tr>");
    }
    html.push_str("</table></section>");
    html
}

fn footer(report: &FullReport) -> String {
    let verdict = &report.report.verdict;
    format!(
        "<footer>Run <code>{}</code>, planned {}, fingerprint <code>{:.16}…</code>. Written by Nightshift {}.</footer>",
        verdict.run,
        minute(verdict.planned_at),
        verdict.fingerprint.to_string(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// `1 file`, `3 files`.
fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{} {what}s", thousands(count)) }
}

/// A moment to the minute, in UTC.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;

//! The report as one page of HTML: for people, to be sent around, kept and printed.
//!
//! The page is one file: no script, nothing that is fetched, and a policy that forbids both to
//! whatever reads it. All text that comes from a spec, a path or a row is escaped.

use std::fmt::Write;

use jiff::Timestamp;

use super::study::{Effort, FullReport};
use crate::conclusion::{FinalState, Totals};
use crate::describe::cut;
use crate::figures::{bytes, duration, percent, thousands};
use crate::ids::Partition;

mod charts;
mod scores;
mod text;

use charts::Part;
use text::Safe;

/// The style sheet, which is part of the page.
const STYLE: &str = include_str!("page/style.css");
/// Given-up shards that are spelled out; `report.json` has more.
const GIVEN_UP_SHOWN: usize = 8;
/// Reasons for rejects that are spelled out.
const REASONS_SHOWN: usize = 10;
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
        rows(&verdict.totals),
        rejects(&verdict.totals),
        given_up(report),
        scores::section(verdict.scores.as_ref()),
        shards(report),
        effort(&report.effort),
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
        let _ = write!(
            html,
            "<tr><th>{name}</th><td>{what}<br><span class=\"soft\">{more}</span></td></tr>"
        );
    }
    html.push_str("</table></section>");
    html
}

/// Where the rows went, if any went anywhere but into the output.
fn rows(totals: &Totals) -> String {
    if totals.rows_out == totals.rows_in {
        return String::new();
    }
    let part =
        |name, class, rows: u64| Part { name, class, value: rows as f64, shown: thousands(rows) };
    let parts = [
        part("scored", "good", totals.rows_out),
        part("rejected", "rejected", totals.rows_rejected),
        part("given up", "lost", totals.rows_quarantined),
    ];
    format!("<section><h2>Rows</h2>{}</section>", charts::stack(&parts, "where the rows went"))
}

fn rejects(totals: &Totals) -> String {
    if totals.rejects_by_reason.is_empty() {
        return String::new();
    }
    let mut reasons: Vec<(&String, u64)> =
        totals.rejects_by_reason.iter().map(|(reason, rows)| (reason, *rows)).collect();
    reasons.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let mut html = "<section><h2>Rejected rows by reason</h2><table><tr><th>reason</th><th>meaning</th><th class=\"n\">rows</th><th class=\"n\">of all rejects</th></tr>".to_owned();
    for (reason, rows) in reasons.iter().take(REASONS_SHOWN) {
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Safe(cut(reason, TEXT_SHOWN)),
            meaning(reason),
            thousands(*rows),
            percent(*rows as f64, totals.rows_rejected as f64)
        );
    }
    html.push_str("</table>");
    more(&mut html, reasons.len().saturating_sub(REASONS_SHOWN) as u64, "reason");
    html.push_str("</section>");
    html
}

/// What a reason means, for somebody who has not read the manual.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "malformed_row" => "not a row at all",
        "bad_value" => "a value does not have the type of its column",
        "missing_value" => "a value that the model needs is missing",
        "not_finite" => "a number is NaN or infinite",
        "unknown_category" => "a category that the model does not know",
        "result_not_finite" => "the model's result is NaN or infinite",
        _ => "",
    }
}

fn given_up(report: &FullReport) -> String {
    let verdict = &report.report.verdict;
    if verdict.quarantined.is_empty() {
        return String::new();
    }
    let mut html = "<section><h2>Shards that were given up</h2><table><tr><th class=\"n\">shard</th><th class=\"n\">rows</th><th>reason</th><th>what happened</th></tr>".to_owned();
    for shard in verdict.quarantined.iter().take(GIVEN_UP_SHOWN) {
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td><code>{}</code></td><td>{}</td></tr>",
            shard.shard,
            thousands(shard.rows),
            Safe(cut(&shard.reason, TEXT_SHOWN)),
            Safe(cut(&shard.message, TEXT_SHOWN))
        );
    }
    html.push_str("</table>");
    more(&mut html, verdict.totals.quarantined.saturating_sub(GIVEN_UP_SHOWN as u64), "shard");
    html.push_str("</section>");
    html
}

fn shards(report: &FullReport) -> String {
    let times = &report.shards;
    if times.scored == 0 {
        return String::new();
    }
    let slowest = match times.slowest.first() {
        Some(slow) if times.scored > 1 => format!(
            "<p class=\"soft\">Slowest: shard {} with {}, {} on {}</p>",
            slow.shard,
            duration(slow.seconds),
            counted(slow.rows, "row"),
            Safe(cut(&slow.worker, 80))
        ),
        _ => String::new(),
    };
    format!(
        "<section><h2>Time per shard <small>median {}, 95 of 100 within {}, longest {}</small></h2>{}{slowest}</section>",
        duration(times.median_s),
        duration(times.p95_s),
        duration(times.longest_s),
        charts::shards(times)
    )
}

fn effort(effort: &Effort) -> String {
    let part =
        |name, class, seconds: f64| Part { name, class, value: seconds, shown: duration(seconds) };
    let mut parts = vec![part("useful", "good", effort.useful_s)];
    let mut note = "";
    if effort.accounted > 0 {
        parts.extend([
            part("retries", "retry", effort.retry_s),
            part("model load", "load", effort.load_s),
            part("idle", "idle", effort.idle_s),
        ]);
    } else if effort.useful_s > 0.0 {
        note = "<p class=\"soft\">The workers of this run kept no account of retries, model loading and idle time.</p>";
    } else {
        return String::new();
    }
    format!(
        "<section><h2>What worker threads spent their time on</h2>{}{note}</section>",
        charts::stack(&parts, "what worker threads spent their time on")
    )
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

/// Says how many are left out.
fn more(html: &mut String, left_out: u64, what: &str) {
    if left_out > 0 {
        let _ = write!(html, "<p class=\"soft\">and {} more</p>", counted(left_out, what));
    }
}

/// A moment to the minute, in UTC.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests;

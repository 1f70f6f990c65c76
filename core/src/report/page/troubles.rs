//! What went wrong: rows without a prediction, and why.

use std::fmt::Write;

use super::charts::{self, Part};
use super::text::Safe;
use super::{TEXT_SHOWN, counted};
use crate::conclusion::{Final, Totals};
use crate::describe::cut;
use crate::figures::{percent, thousands};

/// Given-up shards that are spelled out; `report.json` has more.
const GIVEN_UP_SHOWN: usize = 8;
/// Characters of a reason that are shown; ours are shorter.
const REASON_SHOWN: usize = 40;
/// Reasons for rejects that are spelled out.
const REASONS_SHOWN: usize = 10;

/// Where the rows went, if any went anywhere but into the output.
pub(super) fn rows(totals: &Totals) -> String {
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

/// The rejected rows by reason, most frequent first.
pub(super) fn rejects(totals: &Totals) -> String {
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
            "<tr><td class=\"k\"><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Safe(cut(reason, REASON_SHOWN)),
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

/// The shards that were given up, each with its reason.
pub(super) fn given_up(verdict: &Final) -> String {
    if verdict.quarantined.is_empty() {
        return String::new();
    }
    let mut html = "<section><h2>Shards that were given up</h2><table><tr><th class=\"n\">shard</th><th class=\"n\">rows</th><th>reason</th><th>what happened</th></tr>".to_owned();
    for shard in verdict.quarantined.iter().take(GIVEN_UP_SHOWN) {
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"k\"><code>{}</code></td><td>{}</td></tr>",
            shard.shard,
            thousands(shard.rows),
            Safe(cut(&shard.reason, REASON_SHOWN)),
            Safe(cut(&shard.message, TEXT_SHOWN))
        );
    }
    html.push_str("</table>");
    more(&mut html, verdict.totals.quarantined.saturating_sub(GIVEN_UP_SHOWN as u64), "shard");
    html.push_str("</section>");
    html
}

/// Says how many are left out.
fn more(html: &mut String, left_out: u64, what: &str) {
    if left_out > 0 {
        let _ = write!(html, "<p class=\"soft\">and {} more</p>", counted(left_out, what));
    }
}

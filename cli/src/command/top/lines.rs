//! `top` without a terminal: a block of lines for each look, or one JSON object on one line.

use std::fmt::Write;

use jiff::Timestamp;
use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;
use serde::Serialize;

use super::model::Model;
use super::words;
use crate::prose;
use crate::table::{Align, Table};
use crate::view::{RunView, decided, state_name};

/// What one look saw, for people.
pub(super) fn block(model: &Model) -> String {
    let mut text =
        format!("{}  {}\n", model.now.strftime("%Y-%m-%dT%H:%M:%SZ"), words::source(model));
    if let Some(silence) = words::silence(model) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{silence}");
    }
    let shown = model.shown();
    if shown.is_empty() {
        if model.looked_at.is_some() {
            text.push_str("no runs\n");
        }
        return text + "\n";
    }
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("run", Left),
        ("state", Left),
        ("shards", Right),
        ("rows", Right),
        ("rows/s", Right),
        ("ETA", Right),
        ("fail", Right),
    ]);
    for run in shown {
        table.row([
            run.run.to_string(),
            state_name(run.state).to_owned(),
            format!("{}/{}", decided(run), run.shards.total),
            words::rows(run),
            words::rate(model.rate(run)),
            words::time_left(model, run),
            words::trouble(run),
        ]);
    }
    text.push_str(&table.render());
    for run in model.shown().into_iter().filter(|run| !run.notice.is_empty()) {
        let notice = format!("{}: {}", run.run, prose::one_line(&run.notice));
        text.push_str(&prose::wrap(&notice, prose::WIDTH));
    }
    if model.more {
        text.push_str("there are more runs; --limit shows them\n");
    }
    text + "\n"
}

/// What one look saw, for scripts.
#[derive(Debug, Serialize)]
struct TopView<'a> {
    at: Timestamp,
    source: &'a str,
    /// Whether the look had an answer; the runs are those of the last one that had.
    answers: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
    /// When the runs were as they are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    runs: Vec<TopRunView>,
}

#[derive(Debug, Serialize)]
struct TopRunView {
    #[serde(flatten)]
    run: RunView,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<u64>,
}

/// The same as one line of JSON.
///
/// # Errors
/// None that a look could cause.
pub(super) fn json(model: &Model) -> Result<String, Failure> {
    let run = |run| TopRunView {
        run: RunView::from(run),
        rows_per_s: model.rate(run).map(|rate| (rate * 10.0).round() / 10.0),
        eta_s: model.time_left(run).map(|left| left.as_secs()),
    };
    let view = TopView {
        at: model.now,
        source: &model.source,
        answers: model.silence.is_none(),
        ready: model.ready,
        as_of: model.looked_at,
        silent_since: model.silence.as_ref().map(|silence| silence.since),
        reason: model.silence.as_ref().map(|silence| prose::harmless(&silence.reason)),
        runs: model.shown().into_iter().map(run).collect(),
    };
    let text = serde_json::to_string(&view)
        .map_err(|error| Failure::new(Exit::Software, format_args!("no JSON: {error}")))?;
    Ok(text + "\n")
}

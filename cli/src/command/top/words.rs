//! Cells and phrases that lines and the drawn view share.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::figures::thousands;
use nightshift_proto::runs::status::RunStatus;

use super::model::Model;
use crate::progress::runs::counted;
use crate::{prose, span};

/// Whom is asked, and whether that is ready.
pub(super) fn source(model: &Model) -> String {
    let source = prose::one_line(&model.source);
    match (model.silence.is_some(), model.ready) {
        (true, _) => format!("{source}  no answer"),
        (false, Some(true)) => format!("{source}  ready"),
        (false, Some(false)) => format!("{source}  not ready: it still reads its runs"),
        (false, None) => source,
    }
}

/// Since when nobody answers and when it is asked again; none if somebody does.
pub(super) fn silence(model: &Model) -> Option<String> {
    let silence = model.silence.as_ref()?;
    let clock = |moment: Timestamp| moment.strftime("%H:%M:%SZ").to_string();
    let mut text = format!(
        "no answer since {} ({}); next try in {}: {}",
        clock(silence.since),
        span::short(between(silence.since, model.now)),
        span::short(between(model.now, silence.next)),
        prose::one_line(&silence.reason)
    );
    if let Some(at) = model.looked_at {
        text.insert_str(0, &format!("OLD, as of {}: ", clock(at)));
    }
    Some(text)
}

/// Time from one moment to the other; none at all if they are the other way round.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Rows that are decided or read, of those planned.
pub(super) fn rows(run: &RunStatus) -> String {
    format!("{}/{}", short_count(counted(run)), short_count(run.rows.planned))
}

/// How much of a run is decided or read, from 0 to 1.
pub(super) fn part_done(run: &RunStatus) -> f64 {
    match run.rows.planned {
        0 if run.state.verdict().is_some() => 1.0,
        0 => 0.0,
        planned => (counted(run) as f64 / planned as f64).clamp(0.0, 1.0),
    }
}

pub(super) fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| short_count(rate.round().max(0.0) as u64))
}

pub(super) fn time_left(model: &Model, run: &RunStatus) -> String {
    model.time_left(run).map_or_else(|| "-".to_owned(), span::short)
}

/// A count in at most five characters: `99,999` is `100k`.
pub(super) fn short_count(count: u64) -> String {
    match count {
        ..10_000 => thousands(count),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000..100_000_000 => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
        100_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        1_000_000_000.. => format!("{}G", thousands(count / 1_000_000_000)),
    }
}

/// Shards that were given up, and after a plus those that wait out a pause.
pub(super) fn trouble(run: &RunStatus) -> String {
    let count = |count: u32| short_count(count.into());
    match (run.shards.quarantined, run.shards.delayed) {
        (0, 0) => "-".to_owned(),
        (failed, 0) => count(failed),
        (failed, delayed) => format!("{}+{}", count(failed), count(delayed)),
    }
}

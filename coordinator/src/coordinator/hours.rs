//! Telling the desk in which runs shards may be begun at this time of day.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nightshift_core::window::Hours;

use crate::desk::{ActiveRun, Desk};

/// Tells every run on the desk how its window stands at `now`.
pub(super) fn tell(desk: &mut Desk, now: Timestamp) {
    let windows = desk.runs().filter(|run| run.facts.outline.window.is_some());
    let news: Vec<_> = windows
        .map(|run| (run.facts.run().clone(), why_closed(run, now), run.is_closed()))
        .filter(|(_, why, closed)| why.is_some() != *closed)
        .collect();
    for (run, why, _) in news {
        tracing::info!(%run, closed = why.is_some(), why = why.as_deref().unwrap_or_default(), "window");
        if let Some(active) = desk.run_mut(&run) {
            active.set_closed(why);
        }
    }
}

/// Why no shard of the run may be begun at `now`; none if shards may.
///
/// A zone that is not known here closes a run: the spec was checked when it was submitted, so this
/// is a coordinator with older zones, and what its author wanted is not known.
pub(super) fn why_closed(run: &ActiveRun, now: Timestamp) -> Option<String> {
    let window = run.facts.outline.window.as_ref()?;
    match Hours::new(window, |name| TimeZone::get(name).ok()) {
        Ok(hours) => hours.closed_until(now).map(|until| hours.why_closed(until)),
        Err(unknown) => Some(unknown.to_string()),
    }
}

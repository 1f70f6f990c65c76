//! Whether shards of a run may be begun at this time of day.

use jiff::tz::TimeZone;
use nightshift_core::window::{Hours, UnknownZone};

use super::{Session, Task};

impl Session {
    /// In which hours shards of `task` may be begun; at any time if none.
    pub(super) fn hours(&self, task: &Task) -> Result<Option<Hours>, UnknownZone> {
        let window = task.spec.window.as_ref().filter(|_| !self.ignore_window);
        window.map(|window| Hours::new(window, |name| TimeZone::get(name).ok())).transpose()
    }

    /// Why no shard of `task` may be begun now, if none may.
    ///
    /// # Errors
    /// If the window is in a zone that is not known.
    pub fn why_closed(&self, task: &Task) -> Result<Option<String>, UnknownZone> {
        let Some(hours) = self.hours(task)? else { return Ok(None) };
        Ok(hours.closed_until(self.who.now()).map(|until| hours.why_closed(until)))
    }
}

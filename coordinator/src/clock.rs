//! The coordinator's clocks: one that only goes forward for decisions, one for people.

use std::time::Instant;

use jiff::Timestamp;
use nightshift_core::lease::Moment;

/// A monotonic clock that begins at zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Now, for decisions.
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When `moment` is, for timers.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        let after = std::time::Duration::from_millis(moment.0);
        // A moment too far to be told is waited for as long as anything is.
        let at = self.started.checked_add(after).unwrap_or(self.started);
        tokio::time::Instant::from_std(at)
    }

    /// Now, for people; never to decide by.
    pub fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

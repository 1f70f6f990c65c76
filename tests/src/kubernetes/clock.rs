//! The time of the double, which a test can move forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A time and what tests have added to it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Where it stands; none where it goes with the machine's.
    standing: Option<Timestamp>,
    added_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that only a test moves.
    pub fn standing() -> Self {
        Self { standing: Some(Timestamp::now()), added_ms: Arc::default() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let since = self.standing.unwrap_or_else(Timestamp::now);
        since + SignedDuration::from_millis(self.added_ms.load(Ordering::SeqCst))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.added_ms.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// The time now as `metav1.Time` writes it: whole seconds.
    pub fn stamp(&self) -> String {
        stamp(self.now())
    }
}

/// A time as `metav1.Time` writes it.
pub fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time that `text` says.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

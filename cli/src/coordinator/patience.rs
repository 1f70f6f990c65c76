//! How long nobody may answer, and how often to ask meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// First pause between two tries: a coordinator that is begun again is back within seconds.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between two tries: nobody waits for longer than this once it is back.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a command bears with a coordinator that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Before its first answer: the address may be wrong.
    pub(crate) first: Duration,
    /// After it: the coordinator may have been begun again.
    pub(crate) later: Duration,
}

impl Patience {
    /// Long enough for a service that is just starting, short enough for a person who mistyped.
    const FIRST: Duration = Duration::from_secs(10);
    /// Time for a node to be replaced.
    const LATER: Duration = Duration::from_secs(600);

    /// The bound that was asked for, or the two of old.
    pub(crate) fn new(bound: Option<Duration>) -> Self {
        Self { first: bound.unwrap_or(Self::FIRST), later: bound.unwrap_or(Self::LATER) }
    }
}

/// A time without an answer.
#[derive(Debug)]
pub(crate) struct Silence {
    since: Instant,
    pause: Duration,
}

impl Silence {
    /// Begins now.
    pub(crate) fn begins() -> Self {
        Self { since: Instant::now(), pause: PAUSE_MIN }
    }

    /// How long it has lasted.
    pub(crate) fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits until the next try; false if it has lasted for `bound`.
    pub(crate) async fn bear(&mut self, bound: Duration) -> bool {
        let left = bound.saturating_sub(self.lasted());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

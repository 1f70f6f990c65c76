//! How long nobody may answer, and how often to ask meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// First pause between two tries: a coordinator that is begun again is back within seconds.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// How long it lasts before people are told: a blink is no news.
const TOLD_AFTER: Duration = Duration::from_secs(1);
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

/// Long enough for a service that is just starting, short enough for a person who mistyped.
const SHORT: Duration = Duration::from_secs(10);
/// Time for a node to be replaced.
const LONG: Duration = Duration::from_secs(600);

impl Patience {
    /// None: who asks sees to it that it is asked again.
    pub(crate) const NONE: Self = Self { first: Duration::ZERO, later: Duration::ZERO };

    /// The patience of a command that `waits` for something longer than one answer, or does not;
    /// `bound` is what the user said, if anything.
    pub(crate) fn new(bound: Option<Duration>, waits: bool) -> Self {
        let later = if waits { LONG } else { SHORT };
        Self { first: bound.unwrap_or(SHORT), later: bound.unwrap_or(later) }
    }
}

/// A time without an answer.
#[derive(Debug)]
pub(crate) struct Silence {
    since: Instant,
    pause: Duration,
    told: bool,
}

impl Silence {
    /// Begins now.
    pub(crate) fn begins() -> Self {
        Self { since: Instant::now(), pause: PAUSE_MIN, told: false }
    }

    /// How long it has lasted.
    pub(crate) fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether people are to be told of it now; true once.
    pub(crate) fn is_news(&mut self) -> bool {
        !self.told && self.lasted() >= TOLD_AFTER && {
            self.told = true;
            true
        }
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

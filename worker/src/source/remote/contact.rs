//! Whether the coordinator answers, and since when it has not. No clock, no I/O.

use std::time::{Duration, Instant};

/// How long the coordinator may be silent before people are told: a restart is quicker.
const SAY_AFTER: Duration = Duration::from_secs(5);

/// The weight of the latest round trip in the mean.
const TRIP_WEIGHT: u32 = 5;

/// What is known about the coordinator.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    answered: bool,
    away_since: Option<Instant>,
    last_error: String,
    said: bool,
    round_trip: Duration,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nothing has answered at the address so far.
    NotReached {
        /// The last error.
        error: String,
    },
    /// The coordinator answered before, and does not any more.
    Away {
        /// The last error.
        error: String,
    },
}

impl Contact {
    /// A call was answered, whatever the answer; whether people were told that there is none.
    pub(super) fn answered(&mut self) -> bool {
        self.answered = true;
        self.away_since = None;
        std::mem::take(&mut self.said)
    }

    /// A call that waits for nothing took `trip`.
    pub(super) fn measured(&mut self, trip: Duration) {
        self.round_trip = (self.round_trip * (TRIP_WEIGHT - 1) + trip) / TRIP_WEIGHT;
    }

    /// A call that began at `started` was not answered.
    pub(super) fn failed(&mut self, started: Instant, error: &str) {
        self.away_since.get_or_insert(started);
        error.clone_into(&mut self.last_error);
    }

    /// How long a call takes.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// What to tell people at `now`; each silence is told once.
    pub(super) fn notice(&mut self, now: Instant) -> Option<Notice> {
        if self.said || self.away_for(now)? < SAY_AFTER {
            return None;
        }
        self.said = true;
        let error = self.last_error.clone();
        Some(if self.answered { Notice::Away { error } } else { Notice::NotReached { error } })
    }

    /// The last error, if there was no answer for longer than `bound`.
    pub(super) fn lost(&self, bound: Duration, now: Instant) -> Option<&str> {
        (self.away_for(now)? >= bound).then_some(self.last_error.as_str())
    }

    fn away_for(&self, now: Instant) -> Option<Duration> {
        self.away_since.map(|since| now.saturating_duration_since(since))
    }
}

/// Pauses between repetitions of a call that was not answered.
#[derive(Debug, Clone)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

/// The first pause: a connection that broke is usually up again at once.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

impl Pauses {
    /// Pauses that double up to `longest`.
    pub(super) fn up_to(longest: Duration) -> Self {
        Self { next: PAUSE_FIRST.min(longest), longest }
    }

    /// The next pause; `random` is within 0…1 and spreads the calls of many workers.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let pause = self.next.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}

/// A random number within 0…1.
pub(super) fn random() -> f64 {
    // A ULID carries 80 random bits; the lower 32 are plenty to spread waits.
    f64::from(ulid::Ulid::generate().random() as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_once_and_given_up_after_the_bound() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let bound = Duration::from_secs(60);
        let mut contact = Contact::default();
        assert_eq!((contact.notice(at(100)), contact.lost(bound, at(100))), (None, None));
        contact.failed(at(100), "refused");
        contact.failed(at(103), "refused again");
        assert_eq!(contact.notice(at(104)), None);
        let error = "refused again".to_owned();
        assert_eq!(contact.notice(at(105)), Some(Notice::NotReached { error: error.clone() }));
        assert_eq!(contact.notice(at(106)), None);
        assert_eq!(contact.lost(bound, at(159)), None);
        assert_eq!(contact.lost(bound, at(160)), Some("refused again"));
        assert!(contact.answered(), "people were told");
        assert_eq!(contact.lost(bound, at(1_000)), None);
        contact.failed(at(1_000), "reset");
        assert_eq!(contact.notice(at(1_005)), Some(Notice::Away { error: "reset".to_owned() }));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let mut pauses = Pauses::up_to(Duration::from_millis(300));
        let longest: Vec<u128> = (0..5).map(|_| pauses.next(1.0).as_millis()).collect();
        assert_eq!(longest, [50, 100, 200, 300, 300]);
        assert_eq!(pauses.next(0.0), Duration::from_millis(150));
    }
}

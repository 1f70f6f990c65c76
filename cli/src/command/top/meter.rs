//! How fast a count grows, from one look to the next.

use std::time::Duration;

/// Looks further back than this count for a third of what they did: long enough that shards
/// which end together do not look like a sprint, short enough that a stop is seen.
const MEMORY: Duration = Duration::from_secs(10);

/// An exponentially weighted mean of the growth between looks, in rows a second.
///
/// The weight of a look is `1 - exp(-dt / MEMORY)`, so that the interval between looks does not
/// matter. What was there at the first look is nobody's speed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Meter {
    last: Option<(Duration, u64)>,
    rate: Option<f64>,
}

impl Meter {
    /// Takes in a look: `count` rows at the moment `at`, counted from any fixed moment.
    ///
    /// Rows under way are a hint that may fall, when an attempt is lost and begins again. Rows
    /// that come back up to where they were are no progress.
    pub(super) fn note(&mut self, at: Duration, count: u64) {
        let Some((before, highest)) = self.last else {
            self.last = Some((at, count));
            return;
        };
        let passed = at.saturating_sub(before).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let fresh = count.saturating_sub(highest) as f64 / passed;
        let weight = 1.0 - (-passed / MEMORY.as_secs_f64()).exp();
        self.rate = Some(match self.rate {
            Some(rate) => rate + weight * (fresh - rate),
            None => fresh,
        });
        self.last = Some((at, count.max(highest)));
    }

    /// Rows a second; none before the second look.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// How long `left` more rows take at this rate; none if nothing moves.
    pub(super) fn time_for(&self, left: u64) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate >= SLOWEST)?;
        Duration::try_from_secs_f64(left as f64 / rate).ok()
    }
}

/// Rows a second below which an estimate would be of years.
const SLOWEST: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: &[(u64, u64)]) -> Meter {
        let mut meter = Meter::default();
        for (at_ms, count) in looks {
            meter.note(Duration::from_millis(*at_ms), *count);
        }
        meter
    }

    #[test]
    fn what_was_there_at_first_is_no_speed() {
        assert_eq!(after(&[(0, 1_000_000)]).rate(), None);
        assert_eq!(after(&[(0, 1_000_000), (1_000, 1_000_500)]).rate(), Some(500.0));
        assert_eq!(after(&[(500, 10), (500, 20)]).rate(), None);
    }

    #[test]
    fn a_steady_run_has_its_rate_whatever_the_interval() {
        for interval in [100, 1_000, 5_000] {
            let looks: Vec<_> = (0..200).map(|n| (n * interval, n * interval / 10)).collect();
            let rate = after(&looks).rate().unwrap();
            assert!((rate - 100.0).abs() < 1e-6, "{interval}: {rate}");
            let left = after(&looks).time_for(500).unwrap();
            assert!((left.as_secs_f64() - 5.0).abs() < 1e-6, "{left:?}");
        }
    }

    #[test]
    fn a_stop_is_seen_within_half_a_minute() {
        let mut looks: Vec<_> = (0..60).map(|n| (n * 1_000, n * 100)).collect();
        looks.extend((60..90).map(|n| (n * 1_000, 5_900)));
        let rate = after(&looks).rate().unwrap();
        assert!(rate < 6.0, "{rate}");
        looks.extend((90..400).map(|n| (n * 1_000, 5_900)));
        assert_eq!(after(&looks).time_for(1), None);
    }

    #[test]
    fn rows_that_are_read_again_are_no_progress() {
        let falls = after(&[(0, 0), (1_000, 100), (2_000, 20), (3_000, 100)]);
        let stays = after(&[(0, 0), (1_000, 100), (2_000, 100), (3_000, 100)]);
        assert_eq!(falls, stays);
    }
}

//! How long calls took.

use std::time::Duration;

use serde::Serialize;

/// Every duration that was measured, to the microsecond: 4 bytes each, so that nothing has to
/// be guessed about the tail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<u32>);

/// What is said about many durations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    /// Half were shorter, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 of 100 were not longer, in milliseconds.
    pub(crate) p99_ms: f64,
    /// The longest, in milliseconds.
    pub(crate) max_ms: f64,
}

impl Latencies {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The quantiles; all 0 if nothing was measured.
    pub(crate) fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let at = |share: f64| {
            // The smallest value that the share does not exceed (nearest rank).
            let rank = (self.0.len() as f64 * share).ceil() as usize;
            let micros = self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default();
            f64::from(micros) / 1_000.0
        };
        Quantiles { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut some = Latencies::default();
        (1..=200_u64).rev().for_each(|ms| some.add(Duration::from_millis(ms)));
        let mut more = Latencies::default();
        more.append(some);
        let found = more.quantiles();
        assert_eq!(found, Quantiles { p50_ms: 100.0, p99_ms: 198.0, max_ms: 200.0 });
        let mut one = Latencies::default();
        one.add(Duration::from_micros(1_500));
        assert_eq!(one.quantiles(), Quantiles { p50_ms: 1.5, p99_ms: 1.5, max_ms: 1.5 });
        assert_eq!(Latencies::default().quantiles().max_ms, 0.0);
    }
}

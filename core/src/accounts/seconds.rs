//! A histogram of seconds.

/// Upper bounds of the buckets, in seconds; one without bound comes after them.
pub const BOUNDS_S: [f64; 12] =
    [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// How often something took how long.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seconds {
    counts: [u64; BOUNDS_S.len() + 1],
    sum_s: f64,
}

impl Seconds {
    /// Counts one measurement; what is no time counts as none.
    pub fn observe(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        let at = BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS_S.len());
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum_s += seconds;
    }

    /// How many fell below each bound and above the one before, the last above all.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Their sum, in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_s
    }
}

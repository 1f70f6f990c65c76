//! How fast runs go, and when they will be done if they go on like that.

/// How fast a run, or several that share their workers, went since this process took it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Time since then.
    pub elapsed_ms: u64,
    /// Rows of shards decided in that time.
    pub rows_since: u64,
    /// Rows of shards without a record.
    pub rows_left: u64,
}

impl Pace {
    /// The pace of two runs together: rows add up, and time is that of the one that began first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            elapsed_ms: self.elapsed_ms.max(other.elapsed_ms),
            rows_since: self.rows_since.saturating_add(other.rows_since),
            rows_left: self.rows_left.saturating_add(other.rows_left),
        }
    }

    /// Seconds until no row is left; none as long as nothing can be told.
    pub fn eta_s(self) -> Option<f64> {
        let per_row_s = self.elapsed_ms as f64 / 1e3 / self.rows_since as f64;
        (self.rows_since > 0).then_some(per_row_s * self.rows_left as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn what_is_left_takes_as_long_a_row_as_what_was_done() {
        let one = Pace { elapsed_ms: 10_000, rows_since: 100, rows_left: 300 };
        assert_eq!(one.eta_s(), Some(30.0));
        let idle = Pace { elapsed_ms: 2_000, rows_since: 0, rows_left: 200 };
        assert_eq!(idle.eta_s(), None);
        assert_eq!(one.and(idle).eta_s(), Some(50.0));
        assert_eq!(Pace { rows_left: 0, ..one }.eta_s(), Some(0.0));
    }
}

//! What is counted about launching.

use std::sync::atomic::{AtomicU64, Ordering};

use super::LaunchError;

/// How often launching failed, by reason; only grows.
#[derive(Debug, Default)]
pub struct LaunchTally {
    errors: [AtomicU64; LaunchError::REASONS.len()],
}

impl LaunchTally {
    /// Counts an error.
    pub fn failed(&self, reason: &str) {
        let place = LaunchError::REASONS.iter().position(|known| *known == reason);
        if let Some(count) = place.and_then(|place| self.errors.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The errors that happened, by reason.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.errors.iter().map(|count| count.load(Ordering::Relaxed));
        LaunchError::REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}

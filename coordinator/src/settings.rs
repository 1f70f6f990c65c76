//! How a coordinator is set up.

use std::time::Duration;

use nightshift_core::lease::LeaseSettings;

/// How long a lease lasts, and how often its holder says that it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    ttl_ms: u32,
    heartbeat_ms: u32,
}

/// Times that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimes {
    /// The lease is too short or too long.
    #[error("a lease of {ttl:?} is not possible; use 100ms to {max:?}")]
    Ttl {
        /// What was asked for.
        ttl: Duration,
        /// The longest.
        max: Duration,
    },
    /// Heartbeats are too rare for the lease.
    #[error(
        "a heartbeat every {heartbeat:?} cannot keep a lease of {ttl:?}; use at most half of it"
    )]
    Heartbeat {
        /// What was asked for.
        heartbeat: Duration,
        /// The lease.
        ttl: Duration,
    },
}

/// Shortest lease: below it, a busy machine loses leases that are well.
const TTL_MIN: Duration = Duration::from_millis(100);
/// Longest lease, as in the protocol.
const TTL_MAX: Duration = Duration::from_millis(nightshift_proto::limits::TTL_MAX_MS as u64);

impl LeaseTimes {
    /// Leases of `ttl` that are renewed every `heartbeat`; a third of the lease if not given.
    ///
    /// # Errors
    /// If the lease is not between 100 ms and 10 minutes, or cannot be kept by such heartbeats.
    pub fn new(ttl: Duration, heartbeat: Option<Duration>) -> Result<Self, InvalidTimes> {
        if ttl < TTL_MIN || ttl > TTL_MAX {
            return Err(InvalidTimes::Ttl { ttl, max: TTL_MAX });
        }
        let heartbeat = heartbeat.unwrap_or(ttl / 3);
        if heartbeat.is_zero() || heartbeat > ttl / 2 {
            return Err(InvalidTimes::Heartbeat { heartbeat, ttl });
        }
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        Ok(Self { ttl_ms: ms(ttl), heartbeat_ms: ms(heartbeat) })
    }

    /// How long a lease lasts, in milliseconds.
    pub fn ttl_ms(self) -> u32 {
        self.ttl_ms
    }

    /// How often a worker says that it lives, in milliseconds.
    pub fn heartbeat_ms(self) -> u32 {
        self.heartbeat_ms
    }

    /// The rules of a run whose shards may crash `crash_budget` times.
    pub fn rules(self, crash_budget: u32) -> LeaseSettings {
        LeaseSettings {
            ttl_ms: u64::from(self.ttl_ms),
            ..LeaseSettings::with_crash_budget(crash_budget)
        }
    }
}

impl Default for LeaseTimes {
    /// The design's: 30 s and 10 s.
    fn default() -> Self {
        Self { ttl_ms: 30_000, heartbeat_ms: 10_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_work_are_refused() {
        let seconds = Duration::from_secs;
        let times = LeaseTimes::new(seconds(30), None).unwrap();
        assert_eq!(times, LeaseTimes::default());
        assert!(LeaseTimes::new(seconds(30), Some(seconds(15))).is_ok());
        for (ttl, heartbeat) in [
            (Duration::ZERO, None),
            (Duration::from_millis(99), None),
            (seconds(601), None),
            (seconds(30), Some(seconds(16))),
            (seconds(30), Some(Duration::ZERO)),
        ] {
            assert!(LeaseTimes::new(ttl, heartbeat).is_err(), "{ttl:?} {heartbeat:?}");
        }
    }
}

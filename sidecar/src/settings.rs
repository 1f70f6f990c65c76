//! Checked settings, and the limits that no flag changes.

use std::net::SocketAddr;
use std::time::Duration;

/// Largest OTLP message, in bytes.
pub const MESSAGE_MAX_BYTES: usize = 1 << 20;
/// Most connections of exporters at once; a pod has one worker, seldom more.
pub const OTLP_CONNECTIONS_MAX: usize = 8;
/// Most calls at once on one connection.
pub const OTLP_CALLS_MAX: u32 = 2;
/// Most connections of scrapers at once.
pub const HTTP_CONNECTIONS_MAX: usize = 8;
/// Longest life of a scraper's connection: nobody keeps a place by being slow.
pub const HTTP_CONNECTION_LIFE: Duration = Duration::from_secs(30);
/// Longest metric name, in bytes.
pub const NAME_MAX_BYTES: usize = 200;
/// Most labels of one series.
pub const LABELS_MAX: usize = 32;
/// Longest label value, in bytes.
pub const LABEL_VALUE_MAX_BYTES: usize = 256;
/// Longest that all labels of one series may be together, in bytes.
pub const LABELS_MAX_BYTES: usize = 1024;
/// Most bounds of one histogram.
pub const BOUNDS_MAX: usize = 160;
/// Longest help text, in bytes; what is longer is cut.
pub const HELP_MAX_BYTES: usize = 200;
/// Longest time to linger: one scrape interval as most people set it.
pub const LINGER_MAX: Duration = Duration::from_secs(60);
/// Most series that may be asked for.
pub const SERIES_MAX: usize = 100_000;

/// How a sidecar is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    otlp: SocketAddr,
    max_series: usize,
    linger: Duration,
}

/// Settings that are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// Anybody in the network could write metrics.
    #[error("--otlp {0} can be reached from outside the pod; name 127.0.0.1, or add --otlp-remote")]
    Remote(SocketAddr),
    /// Too few or too many series.
    #[error("--max-series {0} is not possible; use 1 to {SERIES_MAX}")]
    Series(usize),
    /// The pod would be kept for too long.
    #[error(
        "--linger {0:?} is too long; use at most {LINGER_MAX:?}, one scrape interval is enough"
    )]
    Linger(Duration),
}

impl Settings {
    /// Checks them together.
    ///
    /// # Errors
    /// If an exporter could come from outside without `remote`, or a number is out of bounds.
    pub fn new(
        otlp: SocketAddr,
        remote: bool,
        max_series: usize,
        linger: Duration,
    ) -> Result<Self, InvalidSettings> {
        if !remote && !otlp.ip().is_loopback() {
            return Err(InvalidSettings::Remote(otlp));
        }
        if max_series == 0 || max_series > SERIES_MAX {
            return Err(InvalidSettings::Series(max_series));
        }
        if linger > LINGER_MAX {
            return Err(InvalidSettings::Linger(linger));
        }
        Ok(Self { otlp, max_series, linger })
    }

    /// Where exporters find the receiver.
    pub fn otlp(self) -> SocketAddr {
        self.otlp
    }

    /// Most lines of samples that the store serves.
    pub fn max_series(self) -> usize {
        self.max_series
    }

    /// How long to go on after the first signal.
    pub fn linger(self) -> Duration {
        self.linger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let local: SocketAddr = "127.0.0.1:4317".parse().unwrap();
        let open: SocketAddr = "0.0.0.0:4317".parse().unwrap();
        let six: SocketAddr = "[::1]:4317".parse().unwrap();
        assert!(Settings::new(local, false, 2000, Duration::ZERO).is_ok());
        assert!(Settings::new(six, false, 1, LINGER_MAX).is_ok());
        assert!(Settings::new(open, true, SERIES_MAX, Duration::ZERO).is_ok());
        let remote = Settings::new(open, false, 2000, Duration::ZERO);
        assert_eq!(remote, Err(InvalidSettings::Remote(open)));
        for series in [0, SERIES_MAX + 1] {
            let refused = Settings::new(local, false, series, Duration::ZERO);
            assert_eq!(refused, Err(InvalidSettings::Series(series)));
        }
        let long = Duration::from_secs(61);
        let refused = Settings::new(local, false, 2000, long);
        assert_eq!(refused, Err(InvalidSettings::Linger(long)));
    }
}

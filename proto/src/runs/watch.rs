//! `Watch`: one run again and again while it changes.

use nightshift_core::ids::{InvalidId, RunId};

use super::status::{InvalidRunStatus, RunStatus};
use super::verdict::{InvalidRunVerdict, RunVerdict};
use crate::field::{self, InvalidPart, OutOfRange, invalid_message};
use crate::limits::{WATCH_INTERVAL_MAX_MS, WATCH_INTERVAL_MIN_MS};
use crate::wire;

/// A wish to follow one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRun {
    /// The run.
    pub run: RunId,
    /// Shortest time between two messages, [`WATCH_INTERVAL_MIN_MS`] to [`WATCH_INTERVAL_MAX_MS`].
    pub interval_ms: u32,
}

/// One look at a run.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedRun {
    /// How it goes.
    pub run: RunStatus,
    /// How it ended, in the last message alone.
    pub verdict: Option<RunVerdict>,
}

invalid_message!(InvalidWatchRun of "the watch request" {
    Run: InvalidId = "run",
    IntervalMs: OutOfRange = "interval_ms",
});

invalid_message!(InvalidWatchedRun of "the watch response" {
    Run: InvalidPart<InvalidRunStatus> = "run",
    Verdict: InvalidRunVerdict = "verdict",
});

// === impl WatchRun ===

impl From<WatchRun> for wire::WatchRequest {
    fn from(watch: WatchRun) -> Self {
        Self { run: watch.run.to_string(), interval_ms: watch.interval_ms }
    }
}

impl TryFrom<wire::WatchRequest> for WatchRun {
    type Error = InvalidWatchRun;

    fn try_from(wire: wire::WatchRequest) -> Result<Self, InvalidWatchRun> {
        use InvalidWatchRun as Invalid;
        let interval_ms =
            field::within(wire.interval_ms, WATCH_INTERVAL_MIN_MS, WATCH_INTERVAL_MAX_MS)
                .map_err(|source| Invalid::IntervalMs { source })?;
        Ok(Self { run: wire.run.parse().map_err(|source| Invalid::Run { source })?, interval_ms })
    }
}

// === impl WatchedRun ===

impl From<WatchedRun> for wire::WatchResponse {
    fn from(watched: WatchedRun) -> Self {
        Self { run: Some(watched.run.into()), verdict: watched.verdict.map(Into::into) }
    }
}

impl TryFrom<wire::WatchResponse> for WatchedRun {
    type Error = InvalidWatchedRun;

    fn try_from(wire: wire::WatchResponse) -> Result<Self, InvalidWatchedRun> {
        use InvalidWatchedRun as Invalid;
        Ok(Self {
            run: field::part(wire.run).map_err(|source| Invalid::Run { source })?,
            verdict: wire
                .verdict
                .map(RunVerdict::try_from)
                .transpose()
                .map_err(|source| Invalid::Verdict { source })?,
        })
    }
}

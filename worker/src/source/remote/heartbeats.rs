//! Saying that the worker lives. Nothing that happens here stops the work.

use std::time::{Duration, Instant};

use nightshift_proto::leases::heartbeat::{Heartbeat, HeartbeatAnswered};
use tokio::time::sleep_until;

use super::calls::{CallError, Calls};
use super::contact::{Pauses, random};
use super::shared::Shared;

/// Longest pause before a heartbeat is repeated: several fit into a TTL of 30 s.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Intervals between two heartbeats from which on the log says that one was late.
const LATE_INTERVALS: u32 = 2;

/// When heartbeats were sent.
#[derive(Debug)]
struct Rhythm {
    sent: Option<Instant>,
    /// From when on the present interval is expected.
    since: Instant,
}

/// Sends heartbeats, for ever.
pub(super) async fn send(shared: &Shared, calls: &Calls) {
    let mut rhythm = Rhythm::new(Instant::now());
    let mut pauses = Pauses::up_to(PAUSE_MAX);
    loop {
        let leases = shared.lock().holdings.progress();
        let worker = shared.settings.worker.clone();
        let sent = Instant::now();
        note(shared, &mut rhythm, sent);
        match calls.heartbeat(shared, Heartbeat { worker, leases }).await {
            Ok(answered) => {
                take_in(shared, answered, sent);
                pauses = Pauses::up_to(PAUSE_MAX);
                wait(shared, &mut rhythm, sent).await;
            }
            Err(error) => {
                if let CallError::Refused { text, .. } = error {
                    // What is refused for good here is refused to the other calls too, and they
                    // end the worker when its work is done.
                    tracing::error!(error = text, "a heartbeat was refused");
                }
                let pause = pauses.next(random()).min(shared.lock().interval);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Waits until the next heartbeat is due; a shorter interval may make that sooner.
async fn wait(shared: &Shared, rhythm: &mut Rhythm, sent: Instant) {
    loop {
        let interval = shared.lock().interval;
        let due = tokio::time::Instant::from_std(sent + interval);
        tokio::select! {
            () = sleep_until(due) => return,
            () = shared.for_heartbeats.notified() => rhythm.since = Instant::now(),
        }
    }
}

/// Does what the answer says about each lease, and about the worker.
fn take_in(shared: &Shared, answered: HeartbeatAnswered, sent: Instant) {
    let mut revoked = Vec::new();
    {
        let mut state = shared.lock();
        for answer in answered.answers {
            let Some(lease) = state.holdings.answered(answer, sent) else { continue };
            let about = state.holdings.about(&lease);
            revoked.push((lease, about));
        }
    }
    for (lease, about) in &revoked {
        tracing::info!(
            run = %lease.run, shard = %lease.shard, token = %lease.token,
            attempt = about.attempt.as_ref().map(tracing::field::display),
            model_digest = about.model_digest.as_ref().map(tracing::field::display),
            "lease revoked"
        );
    }
    if !revoked.is_empty() {
        shared.for_acquires.notify_one();
        shared.for_watch.notify_one();
    }
    shared.directed(answered.directive);
}

impl Rhythm {
    fn new(now: Instant) -> Self {
        Self { sent: None, since: now }
    }

    /// Notes that a heartbeat is sent at `now`: how long after the one before, and whether that
    /// is late.
    fn sent(&mut self, now: Instant, interval: Duration) -> Option<(Duration, bool)> {
        let before = self.sent.replace(now)?;
        // An interval that became shorter meanwhile could not be kept before.
        let expected = now.saturating_duration_since(before.max(self.since));
        Some((now.saturating_duration_since(before), expected > interval * LATE_INTERVALS))
    }
}

/// Says how long after the last heartbeat this one is sent.
fn note(shared: &Shared, rhythm: &mut Rhythm, now: Instant) {
    let (gap, late) = {
        let mut state = shared.lock();
        let Some((gap, late)) = rhythm.sent(now, state.interval) else { return };
        state.tally.heartbeat_gap_max = state.tally.heartbeat_gap_max.max(gap);
        (gap, late)
    };
    let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(gap_ms, "heartbeat gap");
    if late {
        tracing::warn!(gap_ms, "heartbeat late");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_late_after_two_intervals() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let interval = Duration::from_millis(100);
        let mut rhythm = Rhythm::new(start);
        assert_eq!(rhythm.sent(at(5_000), interval), None, "nothing was expected before");
        assert_eq!(rhythm.sent(at(5_200), interval), Some((Duration::from_millis(200), false)));
        assert_eq!(rhythm.sent(at(5_401), interval), Some((Duration::from_millis(201), true)));
        // A shorter interval counts from when it was named.
        rhythm.since = at(8_000);
        assert_eq!(rhythm.sent(at(8_100), interval), Some((Duration::from_millis(2_699), false)));
    }
}

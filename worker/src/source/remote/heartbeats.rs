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
    let mut rhythm = Rhythm { sent: None, since: Instant::now() };
    let mut pauses = Pauses::up_to(PAUSE_MAX);
    loop {
        let leases = shared.lock().holdings.progress();
        let worker = shared.settings.worker.clone();
        let sent = Instant::now();
        rhythm.note(shared, sent);
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
            revoked.extend(state.holdings.answered(answer, sent));
        }
    }
    for lease in &revoked {
        tracing::info!(run = %lease.run, shard = %lease.shard, token = %lease.token, "lease revoked");
    }
    if !revoked.is_empty() {
        shared.for_acquires.notify_one();
        shared.for_watch.notify_one();
    }
    shared.directed(answered.directive);
}

impl Rhythm {
    /// Notes that a heartbeat is sent at `now`, and how late it is.
    fn note(&mut self, shared: &Shared, now: Instant) {
        let Some(before) = self.sent.replace(now) else { return };
        let gap = now.saturating_duration_since(before);
        let interval = {
            let mut state = shared.lock();
            state.tally.heartbeat_gap_max = state.tally.heartbeat_gap_max.max(gap);
            state.interval
        };
        let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(gap_ms, "heartbeat gap");
        // An interval that became shorter meanwhile could not be kept before.
        let expected = now.saturating_duration_since(before.max(self.since));
        if expected > interval * LATE_INTERVALS {
            tracing::warn!(gap_ms, "heartbeat late");
        }
    }
}

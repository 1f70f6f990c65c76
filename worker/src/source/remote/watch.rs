//! Seeing what nobody says: a signal, a silence, a lease that waits too long, the end.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::ahead::OVERDUE_MAX;
use super::contact::Notice;
use super::shared::{Ending, Shared};
use crate::drain::LAST_WORDS_WITHIN;

/// How often to look: a signal has to be acted on within a second.
const LOOK: Duration = Duration::from_millis(50);
/// How long reports and releases may take after the last commit of a worker that was told to go.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

/// Looks after the worker until it may end.
pub(super) async fn until_the_end(shared: &Shared) {
    loop {
        let now = Instant::now();
        drain(shared);
        silence(shared, now);
        overdue(shared, now);
        give_back_waiting(shared, now);
        if is_over(shared, now) {
            return;
        }
        let _ = timeout(LOOK, shared.for_watch.notified()).await;
    }
}

/// Lets go of everything that is not committing, once somebody wants the process to end, and of
/// what was granted after that.
fn drain(shared: &Shared) {
    if !shared.drain.is_requested() {
        return;
    }
    shared.end(Ending::Drained);
    let mut state = shared.lock();
    state.leaving = true;
    state.holdings.let_go();
    drop(state);
    shared.for_threads.notify_all();
    shared.for_releases.notify_one();
}

/// Tells people about a coordinator that does not answer, and gives it up after the bound.
fn silence(shared: &Shared, now: Instant) {
    let settings = &shared.settings;
    let (coordinator, bound) = (settings.coordinator.uri(), settings.give_up_after);
    let (notice, lost) = {
        let mut state = shared.lock();
        let lost = state.contact.lost(bound, now).map(str::to_owned);
        (state.contact.notice(now), lost)
    };
    let give_up_s = bound.as_secs();
    match notice {
        Some(Notice::NotReached { error }) => {
            tracing::warn!(%coordinator, give_up_s, error, "no coordinator answers at this address; trying on");
        }
        Some(Notice::Away { error }) => {
            tracing::warn!(%coordinator, give_up_s, error, "the coordinator does not answer; the work goes on");
        }
        None => {}
    }
    if let Some(error) = lost {
        shared.end(Ending::Unavailable { error });
    }
}

/// Says which leases may be over: only that, since the record decides.
fn overdue(shared: &Shared, now: Instant) {
    let overdue: Vec<_> = {
        let holdings = &mut shared.lock().holdings;
        let leases = holdings.overdue(now).into_iter();
        leases.map(|lease| (holdings.about(&lease), lease)).collect()
    };
    for (about, lease) in overdue {
        tracing::warn!(
            run = %lease.run, shard = %lease.shard, token = %lease.token,
            attempt = about.attempt.as_ref().map(tracing::field::display),
            model_digest = about.model_digest.as_ref().map(tracing::field::display),
            "no heartbeat was answered for a TTL: the lease may be over, the attempt goes on"
        );
    }
}

/// Gives back what waits behind a shard that takes longer than was expected.
fn give_back_waiting(shared: &Shared, now: Instant) {
    let back = shared.lock().holdings.give_back_waiting(OVERDUE_MAX, now);
    if back > 0 {
        tracing::debug!(leases = back, "leases wait behind slow shards");
        shared.for_releases.notify_one();
    }
}

/// Whether nothing is left to do on this thread.
fn is_over(shared: &Shared, now: Instant) -> bool {
    let state = shared.lock();
    let (Some(ending), Some(worked_until)) = (&state.ending, state.worked_until) else {
        return false;
    };
    let said = state.holdings.is_empty() && !state.acquiring;
    let patience = if state.leaving { LAST_WORDS_MAX } else { shared.settings.give_up_after };
    // However long the commits took: the process is about to be killed.
    let late = shared.drain.told().is_some_and(|told| now - told > LAST_WORDS_WITHIN);
    said || late || ending.is_cut_off() || now.saturating_duration_since(worked_until) > patience
}

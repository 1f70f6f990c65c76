//! Asking for shards: just before a thread needs one, and opening the runs they belong to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nightshift_core::ids::{InvalidId, RunId};
use nightshift_proto::leases::Directive;
use nightshift_proto::leases::acquire::{Acquire, Acquired, Grant};
use nightshift_proto::limits::{ACQUIRE_MAX, ACQUIRE_WAIT_MAX_MS, PAGE_MAX};
use nightshift_proto::names::RequestId;
use nightshift_proto::runs::list::ListRuns;
use nightshift_telemetry::trace;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::ahead::horizon;
use super::calls::{CallError, Calls};
use super::contact::{Pauses, random};
use super::holdings::{Ended, Outcome};
use super::refused::{note, reported};
use super::shared::{Ending, Shared};
use super::works::{Need, Opener, WorkKey};
use crate::identity::new_attempt;
use crate::source::{Failure, RunWork, span};

/// How long to wait for a shard where the worker is to end when there is none.
const IDLE_WAIT_MS: u32 = 1_000;
/// Longest pause before an Acquire is repeated: a coordinator that is back is found soon.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Shortest pause after an answer without shards that came at once.
const EMPTY_PAUSE_MIN: Duration = Duration::from_millis(50);
/// How long an answer is still awaited when the worker ends: it may grant leases, which then go
/// back at once instead of lasting until they expire.
const LAST_ANSWER_MAX: Duration = Duration::from_millis(300);

/// Asks for shards, for ever; only waits once the worker ends.
pub(super) async fn ask(shared: &Arc<Shared>, calls: &Calls, runtime: &Handle) {
    let opener = Arc::new(Opener::new(&shared.settings));
    loop {
        let leases = wish(shared).await;
        let Some(request) = request(shared, leases) else { return };
        shared.lock().acquiring = true;
        let answered = repeat(shared, calls, &request).await;
        if let Some((acquired, sent)) = answered {
            granted(shared, &opener, runtime, acquired.grants.iter(), sent);
            settle_down(shared, calls, &acquired, sent).await;
        }
        shared.lock().acquiring = false;
        shared.for_threads.notify_all();
        shared.for_watch.notify_one();
    }
}

/// Waits until leases are wanted, and says how many.
async fn wish(shared: &Shared) -> u32 {
    loop {
        let Some((leases, look_again)) = look(shared, Instant::now()) else {
            // Nothing more is ever wanted; the watch ends the thread.
            return std::future::pending().await;
        };
        if leases > 0 {
            return leases;
        }
        let _ = timeout(look_again, shared.for_acquires.notified()).await;
    }
}

/// How many leases are wanted now, and when to look again if none; nothing once the worker ends.
fn look(shared: &Shared, now: Instant) -> Option<(u32, Duration)> {
    let state = shared.lock();
    if state.ending.is_some() {
        return None;
    }
    let caution = state.caution.left(now);
    if !caution.is_zero() {
        return Some((0, caution));
    }
    let outlook = state.holdings.outlook(horizon(state.contact.round_trip()), now);
    let wish = outlook.wish();
    let leases = u32::try_from(wish.leases.min(state.holdings.room())).unwrap_or(ACQUIRE_MAX);
    Some((leases.min(ACQUIRE_MAX), wish.look_again))
}

/// A new wish for work.
fn request(shared: &Shared, max: u32) -> Option<Acquire> {
    let settings = &shared.settings;
    let id: Result<RequestId, _> = ulid::Ulid::generate().to_string().parse();
    let wait_ms = if settings.exit_when_idle { IDLE_WAIT_MS } else { ACQUIRE_WAIT_MAX_MS };
    Some(Acquire {
        worker: settings.worker.clone(),
        // A ULID is visible ASCII of 26 bytes, so it is always a request id.
        request: id.ok()?,
        max,
        wait_ms,
        run: settings.run.clone(),
    })
}

/// Sends one wish until it is answered, each time as the same request, so that leases whose grant
/// was lost on the way come again. Gives when the answered call was sent.
async fn repeat(shared: &Shared, calls: &Calls, request: &Acquire) -> Option<(Acquired, Instant)> {
    let mut pauses = Pauses::up_to(PAUSE_MAX);
    loop {
        let sent = Instant::now();
        let call = calls.acquire(shared, request.clone());
        tokio::pin!(call);
        let answered = tokio::select! {
            answered = &mut call => answered,
            () = ending(shared) => timeout(LAST_ANSWER_MAX, call).await.ok()?,
        };
        match answered {
            Ok(acquired) => return Some((acquired, sent)),
            Err(CallError::Refused { exit, text }) => {
                shared.end(Ending::Refused { exit, text });
                return None;
            }
            Err(CallError::Away { .. }) => {
                let pause = pauses.next(random());
                tokio::select! {
                    () = sleep(pause) => {}
                    () = ending(shared) => return None,
                }
            }
        }
    }
}

/// Waits until the worker ends.
async fn ending(shared: &Shared) {
    loop {
        if shared.lock().ending.is_some() {
            return;
        }
        shared.for_acquires.notified().await;
    }
}

/// Takes in leases.
fn granted<'a>(
    shared: &Arc<Shared>,
    opener: &Arc<Opener>,
    runtime: &Handle,
    grants: impl Iterator<Item = &'a Grant>,
    sent: Instant,
) {
    for grant in grants {
        shared.take_interval(grant);
        let key = WorkKey::of(grant);
        let mut state = shared.lock();
        if !state.holdings.granted(grant, sent) {
            continue;
        }
        let need = state.works.need(&key);
        if let Need::Nothing(work) = &need {
            state.holdings.opened(&key, work, Instant::now());
        }
        let about = state.holdings.about(&grant.lease);
        drop(state);
        tracing::info!(
            run = %grant.lease.run, shard = %grant.lease.shard, token = %grant.lease.token,
            model_digest = about.model_digest.as_ref().map(tracing::field::display),
            earlier_attempts = grant.earlier_attempts, backup = grant.backup, "lease granted"
        );
        match need {
            Need::Nothing(work) => learn(&work, grant),
            Need::Patience => {}
            Need::Opening => open(shared, opener, runtime, key, grant.clone()),
        }
    }
    shared.for_threads.notify_all();
}

/// Opens a run beside everything else.
fn open(shared: &Arc<Shared>, opener: &Arc<Opener>, runtime: &Handle, key: WorkKey, grant: Grant) {
    let (shared, opener) = (Arc::clone(shared), Arc::clone(opener));
    let task = async move {
        let started = Instant::now();
        match opener.open(&key).await {
            Ok(work) => {
                let work = Arc::new(work);
                learn(&work, &grant);
                tracing::debug!(run = %key.run(), seconds = started.elapsed().as_secs_f64(), "run opened");
                let mut state = shared.lock();
                state.works.opened(&key, Some(&work));
                state.holdings.opened(&key, &work, Instant::now());
            }
            Err(failure) => unopened(&shared, &key, failure),
        }
        shared.for_threads.notify_all();
        shared.for_reports.notify_one();
        shared.for_acquires.notify_one();
    };
    let _entered = runtime.enter();
    nightshift_telemetry::spawn("open run", task);
}

/// A run cannot be opened here: its leases have failed.
fn unopened(shared: &Shared, key: &WorkKey, failure: Failure) {
    let Failure { class, reason, message, .. } = &failure;
    tracing::warn!(run = %key.run(), class = class.as_str(), reason, error = message, "a run cannot be opened");
    let mut state = shared.lock();
    state.works.opened(key, None);
    note(&mut state, &failure, Instant::now());
    let text = format!("{}: {}", failure.reason, failure.message);
    let reported = reported(failure);
    state.holdings.unopened(key, |lease| {
        let attempt: Result<_, InvalidId> = new_attempt();
        let attempt = attempt.ok()?;
        let span = span(key.trace(), key.run(), lease, &attempt, None);
        trace::outcome(&span, "failed", Some(&text));
        let outcome = Outcome::Failed(reported.clone());
        Some(Ended { attempt, outcome, batch_size: None, span })
    });
}

/// Takes over the batch size that others have learned.
fn learn(work: &RunWork, grant: &Grant) {
    if let Some(size) = grant.batch_size {
        work.scorer.reader().limit_batches(size.get() as usize);
    }
}

/// Does what else an answer says: the directive, the notice, and the pause where there was nothing.
async fn settle_down(shared: &Shared, calls: &Calls, acquired: &Acquired, sent: Instant) {
    shared.directed(acquired.directive);
    if !acquired.grants.is_empty() || acquired.directive != Directive::Continue {
        return;
    }
    if !acquired.notice.is_empty() {
        tracing::info!(notice = acquired.notice, "no shard is free");
    }
    if shared.settings.exit_when_idle
        && shared.lock().holdings.is_empty()
        && nothing_under_way(shared, calls).await
    {
        shared.end(Ending::Idle);
        return;
    }
    let asked = Duration::from_millis(acquired.retry_after_ms.into());
    let pause = if sent.elapsed() < EMPTY_PAUSE_MIN { asked.max(EMPTY_PAUSE_MIN) } else { asked };
    tokio::select! {
        () = sleep(pause) => {}
        () = ending(shared) => {}
    }
}

/// Whether no run is under way that this worker could help with; no if nobody says so.
async fn nothing_under_way(shared: &Shared, calls: &Calls) -> bool {
    let run = shared.settings.run.as_ref();
    let list = ListRuns {
        name: run.map(|run| run.name.clone()),
        partition: run.map(|run| run.partition),
        unfinished: true,
        // Of one partition several generations may be under way in theory; one of any else is
        // enough to go on.
        page_size: if run.is_some() { PAGE_MAX } else { 1 },
        page: None,
    };
    match calls.list(shared, list).await {
        Ok(page) => {
            !page.runs.iter().any(|status| run.is_none_or(|run: &RunId| *run == status.run))
        }
        Err(CallError::Away { .. }) => false,
        Err(CallError::Refused { exit, text }) => {
            shared.end(Ending::Refused { exit, text });
            false
        }
    }
}

//! Giving leases back, so that their shards go to others at once.

use std::time::Duration;

use nightshift_proto::leases::LeaseId;
use nightshift_proto::leases::release::Release;
use tokio::time::{sleep, timeout};

use super::calls::{CallError, Calls};
use super::contact::{Pauses, random};
use super::shared::Shared;

/// Longest pause before a release is repeated; leases that nobody takes back expire.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long the last word may take: the process is about to end, and the word only saves time.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// Gives leases back as they come, for ever.
pub(super) async fn give_back(shared: &Shared, calls: &Calls) {
    loop {
        let leases = shared.lock().holdings.take_released();
        if leases.is_empty() {
            shared.for_releases.notified().await;
            continue;
        }
        let mut pauses = Pauses::up_to(PAUSE_MAX);
        let count = leases.len();
        while let Err(CallError::Away { .. }) =
            calls.release(shared, release(shared, leases.clone())).await
        {
            sleep(pauses.next(random())).await;
        }
        tracing::info!(leases = count, "leases given back");
        shared.lock().holdings.given_back(count);
        shared.for_watch.notify_one();
    }
}

/// Says that this worker asks for nothing more.
pub(super) async fn say_goodbye(shared: &Shared, calls: &Calls) {
    let cut_off = shared.lock().ending.as_ref().is_none_or(super::Ending::is_cut_off);
    if cut_off {
        return;
    }
    let mut release = release(shared, Vec::new());
    release.leaving = true;
    if timeout(GOODBYE_MAX, calls.release(shared, release)).await.is_err() {
        tracing::debug!("the last word was not heard");
    }
}

fn release(shared: &Shared, leases: Vec<LeaseId>) -> Release {
    let leaving = shared.lock().leaving;
    Release { worker: shared.settings.worker.clone(), leases, leaving }
}

//! One worker of a coordinator, from start to end.

use std::sync::Arc;

use nightshift_telemetry::meter::Meter;
use tokio::runtime::Handle;

use crate::forced::Forced;
use crate::identity::Identity;
use crate::memory::Guard;
use crate::pace::Pace;
use crate::pool::{NoObserver, Pool};
use crate::source::Drain;
use crate::source::remote::{Ending, Remote, Settings, StartError, Tally};

/// Works for the coordinator that `settings` names until there is a reason to end, and says which
/// one. Blocks. When it returns every commit is settled.
///
/// # Errors
/// See [`StartError`]; everything else is an [`Ending`].
pub fn work(
    settings: Settings,
    who: Identity,
    pace: Option<Pace>,
    forced: Forced,
    memory: Arc<Guard>,
    drain: Drain,
    runtime: Handle,
    meter: Arc<Meter>,
) -> Result<(Ending, Tally), StartError> {
    let threads = settings.threads;
    tracing::info!(worker = %settings.worker, coordinator = %settings.coordinator.uri(), threads, "worker started");
    let (source, keeper) = Remote::start(settings, drain.clone(), runtime.clone())?;
    let observer = Arc::new(NoObserver);
    let pool = Pool { source, who, observer, meter, drain, pace, memory, forced, runtime };
    let worked = pool.run(threads);
    let (mut ending, tally) = keeper.finish();
    if let Some(failure) = worked.stopped {
        ending = Ending::Refused { exit: failure.exit, text: failure.message };
    }
    let Tally { shards, rows, lost, failed, heartbeat_gap_max } = tally;
    let heartbeat_gap_max_ms = u64::try_from(heartbeat_gap_max.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(shards, rows, lost, failed, heartbeat_gap_max_ms, "worker ended");
    Ok((ending, tally))
}

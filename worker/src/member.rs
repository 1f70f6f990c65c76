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

/// How a worker scores, and what counts and bounds it.
#[derive(Debug)]
pub struct Means {
    /// How fast it may go.
    pub pace: Option<Pace>,
    /// Faults that a rehearsal forces.
    pub forced: Forced,
    /// Keeps batches within memory.
    pub memory: Arc<Guard>,
    /// Counts what it does.
    pub meter: Arc<Meter>,
}

/// Works for the coordinator that `settings` names until there is a reason to end, and says which
/// one. Blocks. When it returns every commit is settled.
///
/// # Errors
/// See [`StartError`]; everything else is an [`Ending`].
pub fn work(
    settings: Settings,
    who: Identity,
    means: Means,
    drain: Drain,
    runtime: Handle,
) -> Result<(Ending, Tally), StartError> {
    let threads = settings.threads;
    tracing::info!(worker = %settings.worker, coordinator = %settings.coordinator.uri(), threads, "worker started");
    let (source, keeper) = Remote::start(settings, drain.clone(), runtime.clone())?;
    let observer = Arc::new(NoObserver);
    let Means { pace, forced, memory, meter } = means;
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

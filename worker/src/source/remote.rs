//! Leases of a coordinator in another process.
//!
//! ```text
//! compute threads                 thread `leases`, with a runtime of its own
//! ───────────────                 ──────────────────────────────────────────
//! acquire ← queue ←─────────────── acquires    asks for shards just before they are needed
//! begun, scored, may_commit ─────→ heartbeats  says how far each lease has come
//! decided, failed ───────────────→ reports     says how each attempt ended, until it is heard
//! drain ─────────────────────────→ releases    gives back what is not committing
//!                                  watch       sees the end, and the silence of a coordinator
//! ```
//!
//! Both sides meet in `Holdings` behind one lock that nobody keeps for
//! longer than a few map operations, so inference never holds up a heartbeat, and a coordinator
//! that is away never holds up inference. Opening a run (its plan, its model) happens beside both.
//!
//! Leases only save work. Whatever is said here, the record in the store decides: an attempt whose
//! lease is long gone still commits, and either wins or learns who did.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nightshift_core::ids::RunId;
use nightshift_core::record::{FailureClass, Record};
use nightshift_proto::leases::LeaseId;
use nightshift_proto::names::WorkerName;
use nightshift_storage::sync::Durability;
use thiserror::Error;
use tokio::runtime::Handle;
use tonic::transport::Endpoint;

use super::{Acquired, Attempt, Drain, Failure, ShardSource, Verdict};

mod ahead;
mod holdings;
mod creates;
mod works;
mod contact;
mod shared;
mod calls;
mod leases;
mod acquires;
mod heartbeats;
mod reports;
mod releases;
mod watch;
mod refused;
#[cfg(test)]
mod fixtures;

pub use shared::{Ending, Tally};

use holdings::{Ended, Outcome};
use shared::Shared;

/// Longest sleep of a thread that waits for work, so that a drain is seen.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// How to work for a coordinator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is, and how it is spoken to.
    pub coordinator: Endpoint,
    /// This worker.
    pub worker: WorkerName,
    /// Take shards of this run alone.
    pub run: Option<RunId>,
    /// Compute threads.
    pub threads: usize,
    /// End well when no run is under way.
    pub exit_when_idle: bool,
    /// End when the coordinator has not answered for this long.
    pub give_up_after: Duration,
    /// Whether data is made durable; anything but full is for benchmarks.
    pub durability: Durability,
}

/// Why the work cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system gives no thread.
    #[error("the thread that keeps the leases cannot be started")]
    Thread {
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

/// Shards that a coordinator hands out.
#[derive(Debug)]
pub struct Remote {
    shared: Arc<Shared>,
}

/// The thread that keeps the leases of a [`Remote`].
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Remote {
    /// Begins to work for a coordinator. Runs are opened on `runtime`; `drain` is requested too
    /// when the work has to stop for another reason.
    ///
    /// # Errors
    /// See [`StartError`]; a coordinator that does not answer is waited for.
    pub fn start(
        settings: Settings,
        drain: Drain,
        runtime: Handle,
    ) -> Result<(Arc<Self>, Keeper), StartError> {
        let endpoint = settings.coordinator.clone();
        let shared = Arc::new(Shared::new(settings, drain));
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("leases".to_owned())
            .spawn(move || leases::keep(&for_thread, &endpoint, &runtime))
            .map_err(|source| StartError::Thread { source })?;
        let source = Arc::new(Self { shared: Arc::clone(&shared) });
        Ok((source, Keeper { shared, thread }))
    }
}

impl Keeper {
    /// Waits until the coordinator knows how every attempt ended, as far as it can be told, and
    /// says why the worker ends. To be called when the pool has ended.
    pub fn finish(self) -> (Ending, Tally) {
        self.shared.lock().worked_until = Some(Instant::now());
        self.shared.for_watch.notify_one();
        let kept = self.thread.join();
        let state = self.shared.lock();
        let ending = match (kept, &state.ending) {
            (Err(_), _) | (Ok(()), None) => Ending::Refused {
                exit: nightshift_core::exit::Exit::Software,
                text: "the thread that keeps the leases ended by itself".to_owned(),
            },
            (Ok(()), Some(ending)) => ending.clone(),
        };
        (ending, state.tally)
    }
}

fn id_of(attempt: &Attempt) -> LeaseId {
    let lease = attempt.lease;
    LeaseId { run: attempt.run().clone(), shard: lease.shard, token: lease.token }
}

impl ShardSource for Remote {
    fn acquire(&self, max: u32) -> Acquired {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let mut state = self.shared.lock();
        loop {
            if self.shared.drain.is_requested() {
                return Acquired::Retire;
            }
            if let Some((work, leases)) = state.holdings.take(max) {
                drop(state);
                self.shared.for_acquires.notify_one();
                return Acquired::Leases { work, leases };
            }
            // What was granted before the end is still done.
            if state.ending.is_some() && !state.holdings.may_be_taken() && !state.acquiring {
                return Acquired::Retire;
            }
            state = self.shared.wait(state, WAIT_MAX);
        }
    }

    /// The coordinator hears of every record.
    fn grants_undecided(&self) -> bool {
        true
    }

    fn begun(&self, attempt: &Attempt) -> bool {
        let batch_rows = attempt.work.scorer.reader().batch_rows();
        let id = id_of(attempt);
        let holdings = &mut self.shared.lock().holdings;
        holdings.name(&id, &attempt.id);
        holdings.begun(&id, batch_rows, Instant::now())
    }

    fn scored(&self, attempt: &Attempt, rows: u64) -> bool {
        self.shared.lock().holdings.scored(&id_of(attempt), rows, Instant::now())
    }

    fn may_commit(&self, attempt: &Attempt) -> bool {
        let may = self.shared.lock().holdings.may_commit(&id_of(attempt), Instant::now());
        self.shared.for_acquires.notify_one();
        may
    }

    fn decided(&self, attempt: &Attempt, record: &Record, won: bool) {
        let mut state = self.shared.lock();
        match record.committed() {
            Some(committed) if won => {
                state.tally.shards += 1;
                state.tally.rows += committed.rows_in;
            }
            _ => state.tally.lost += 1,
        }
        state.caution.succeeded();
        let (work, record) = (Arc::clone(&attempt.work), Box::new(record.clone()));
        self.ended(state, attempt, Outcome::Decided { work, record, won });
    }

    fn failed(&self, attempt: &Attempt, failure: Failure) -> Verdict {
        let mut state = self.shared.lock();
        if failure.class == FailureClass::Preempted {
            state.holdings.given_up(&id_of(attempt));
            drop(state);
            self.shared.for_releases.notify_one();
            self.shared.for_watch.notify_one();
            return Verdict::Handled;
        }
        refused::note(&mut state, &failure, Instant::now());
        self.ended(state, attempt, Outcome::Failed(refused::reported(failure)));
        Verdict::Handled
    }
}

impl Remote {
    fn ended(
        &self,
        mut state: std::sync::MutexGuard<'_, shared::State>,
        attempt: &Attempt,
        outcome: Outcome,
    ) {
        let id = id_of(attempt);
        let batch_rows = attempt.work.scorer.reader().batch_rows();
        let batch_size = state.holdings.learned(&id, batch_rows);
        state.holdings.end(
            &id,
            Ended { attempt: attempt.id.clone(), outcome, batch_size, span: attempt.span.clone() },
        );
        drop(state);
        self.shared.for_reports.notify_one();
        self.shared.for_acquires.notify_one();
    }
}

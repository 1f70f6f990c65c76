//! The keeper: keeps a ledger up to date, and never blocks its callers.
//!
//! Whoever decides shards tells a [`KeeperHandle`], which only notes it down. One task writes
//! what was noted, a transaction for each name and round. After any failure the name is
//! *behind*: what is told then is not kept, because the store has it, and once the ledger
//! answers again it is made to say what the store says. The same happens when the ledger is
//! found empty, foreign or older than it was left; that is looked at with every write, and
//! every second when there is none.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_core::conclusion::Final;
use nightshift_core::ids::{Partition, RunId, ShardIndex, SpecName};
use nightshift_core::root::RootId;
use nightshift_storage::Reader;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Ledger, Progress, Reason};

mod inbox;
mod state;
mod task;
mod upkeep;

pub use state::{Counters, LedgerState};

use inbox::Inbox;
use task::Task;
use upkeep::Tools;

/// Time that the last round may take when the keeper is stopped; a rebuild is cut short.
const STOP_MAX: Duration = Duration::from_secs(3);

/// An output root whose dates and runs belong into the ledger.
#[derive(Debug, Clone)]
pub struct ServedRoot {
    /// The spec's name.
    pub name: SpecName,
    /// Identity of the root.
    pub root_id: RootId,
    /// The root, to read.
    pub reader: Reader,
}

/// The task that keeps a ledger, and its owner. The task ends with it.
#[derive(Debug)]
pub struct Keeper {
    handle: KeeperHandle,
    task: JoinHandle<()>,
}

/// Tells a keeper what was decided. Cheap to clone; no call blocks or fails.
#[derive(Debug, Clone)]
pub struct KeeperHandle {
    ledger: Arc<dyn Ledger>,
    inbox: Arc<Inbox>,
    counters: Arc<Counters>,
    state: Arc<watch::Sender<LedgerState>>,
    settled: watch::Receiver<u64>,
}

// === impl Keeper ===

impl Keeper {
    /// Starts to keep `ledger`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(ledger: Arc<dyn Ledger>) -> Self {
        let (inbox, counters) = (Arc::<Inbox>::default(), Arc::<Counters>::default());
        let state = Arc::new(watch::Sender::new(LedgerState::Current));
        let (settled, is_settled) = watch::channel(0);
        let tools = Tools {
            ledger: Arc::clone(&ledger),
            inbox: Arc::clone(&inbox),
            counters: Arc::clone(&counters),
        };
        let task = Task::new(tools, Arc::clone(&state), settled);
        let task = nightshift_telemetry::spawn("ledger", task.run());
        let handle = KeeperHandle { ledger, inbox, counters, state, settled: is_settled };
        Self { handle, task }
    }

    /// A handle to tell it.
    pub fn handle(&self) -> KeeperHandle {
        self.handle.clone()
    }

    /// Writes what was told so far, if the ledger takes it within 3 seconds, and ends.
    pub async fn stop(mut self) {
        self.handle.inbox.stop();
        // Whatever is left out is in the store, and found by the next keeper.
        let _ = tokio::time::timeout(STOP_MAX, &mut self.task).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl KeeperHandle ===

impl KeeperHandle {
    /// Serves a root: from now on the ledger of its name says what the root says. Serving the
    /// same root again changes nothing.
    pub fn serve(&self, served: ServedRoot) {
        if self.inbox.serve(served) {
            self.start_over();
        }
    }

    /// Compares the whole ledger of a name with the store, as after a loss: for changes that
    /// nobody told, such as the records that a new run inherits.
    pub fn reconcile(&self, name: &SpecName) {
        if self.inbox.reconcile(name) {
            self.start_over();
        }
    }

    /// A shard has its record; the caller has read it from the store or won it.
    pub fn shard_decided(&self, run: &RunId, shard: ShardIndex) {
        self.inbox.shard(run, shard);
    }

    /// How far a run is: a hint for people who look into the ledger. Only the latest is written.
    pub fn progress(&self, run: &RunId, progress: Progress) {
        self.inbox.progress_of(run, progress);
    }

    /// A run has its final, and this is it.
    pub fn run_concluded(&self, verdict: &Final) {
        self.inbox.conclude(verdict);
    }

    /// A run that its gate withheld was approved and is published, and this is its final.
    pub fn run_approved(&self, verdict: &Final) {
        self.inbox.approve(verdict);
    }

    /// The input of a date was looked for at `now`, and is not there: a hint for people. Whoever
    /// looks for it the next time says it again, so that it may be lost.
    pub fn input_missed(&self, name: &SpecName, partition: Partition, now: Timestamp) {
        self.inbox.miss(name, partition, now);
    }

    /// The ledger that is kept, to be asked.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.ledger)
    }

    /// Whether the ledger is up to date.
    pub fn state(&self) -> LedgerState {
        self.state.borrow().clone()
    }

    /// Every change of [`KeeperHandle::state`].
    pub fn watch(&self) -> watch::Receiver<LedgerState> {
        self.state.subscribe()
    }

    /// What the keeper has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Waits until everything that was told before this call is in the ledger, and the ledger is
    /// current, for as long as that takes: bound it.
    pub async fn caught_up(&self) {
        let told = self.inbox.told();
        let (mut settled, mut state) = (self.settled.clone(), self.watch());
        let is_current = async {
            let _ = settled.wait_for(|settled| *settled >= told).await;
            let _ = state.wait_for(LedgerState::is_current).await;
        };
        // When the task has ended, nothing more will be written.
        let mut task = self.settled.clone();
        let has_ended = async { while task.changed().await.is_ok() {} };
        tokio::select! {
            () = is_current => {}
            () = has_ended => {}
        }
    }

    /// Says at once what the task would say a moment later.
    fn start_over(&self) {
        self.state.send_if_modified(|state| {
            let is_current = state.is_current();
            if is_current {
                *state = LedgerState::Behind {
                    reason: Reason::Starting,
                    why: "the ledger is being compared with the output".to_owned(),
                    since: jiff::Timestamp::now(),
                    names: 1,
                };
            }
            is_current
        });
    }
}

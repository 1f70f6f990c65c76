//! The shell around the desk: it waits, reads records, and performs what the desk wants done.
//!
//! The parts, each a file: `accounting` counts what runs came to, `leasing` answers workers,
//! `launching` who starts them, `ending` sidecars whose pod ends, `running` answers operators,
//! `performing` writes quarantine records and finals, `judging` records what people decide,
//! `recovering` starts from the store, `concluded` does what others left undone after a verdict,
//! `ticking` tells the desk that time passes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightshift_core::ids::{RunId, SpecName};
use nightshift_core::lease::Moment;
use nightshift_notify::Teller;
use nightshift_storage::deciding::Deciding;
use nightshift_storage::error::StoreError;
use nightshift_storage::model::Models;
use nightshift_storage::opening::Opener;
use tokio::sync::{Notify, Semaphore};

use crate::clock::Clock;
use crate::desk::Desk;
use crate::ended::EndedPods;
use crate::identity::{Identity, fresh_id};
use crate::launch::LaunchTally;
use crate::refusal::Refusal;
use crate::roots::{Roots, ServeError, ServedRoot};
use crate::settings::LeaseTimes;
use nightshift_ledger::{self as ledger, KeeperHandle};

mod accounting;
mod backfilling;
mod ending;
mod hours;
mod judging;
mod launching;
mod leasing;
mod performing;
mod recovering;
mod running;
mod concluded;
mod ticking;

pub use launching::OpenRun;

use accounting::Accounts;

/// Quarantine records that are written at the same time.
const QUARANTINES_MAX: usize = 16;

/// A coordinator. Shared by everything that serves it.
#[derive(Debug)]
pub struct Coordinator {
    desk: Mutex<Desk>,
    /// What the runs of each name came to. Its lock is taken last.
    accounts: Mutex<Accounts>,
    ended_pods: Mutex<EndedPods>,
    clock: Clock,
    times: LeaseTimes,
    who: Identity,
    roots: Roots,
    ledger: KeeperHandle,
    /// Shared by all plans, so that one model is hashed once.
    models: Models,
    /// Told when a waiting request for work may find something.
    changed: Notify,
    /// Bounds the quarantine records that are being written.
    quarantines: Arc<Semaphore>,
    recovered: AtomicBool,
    ending: AtomicBool,
    launching: LaunchTally,
    teller: Arc<Teller>,
}

impl Coordinator {
    /// A coordinator with its home at `home`, which tells `ledger` what is complete, and creates
    /// what is created once as `deciding` says. It has not
    /// looked for its runs yet; see [`recover`](Self::recover).
    ///
    /// # Errors
    /// If the home cannot be written, or does not keep the promises of a store.
    pub async fn open(
        home: &str,
        times: LeaseTimes,
        ledger: KeeperHandle,
        deciding: Deciding,
    ) -> Result<Arc<Self>, StoreError> {
        let who = Identity::of_this_process();
        Ok(Arc::new(Self {
            teller: Teller::new(who.to_string()),
            desk: Mutex::new(Desk::new()),
            accounts: Mutex::default(),
            ended_pods: Mutex::default(),
            clock: Clock::start(),
            times,
            who,
            roots: Roots::open(home, deciding).await?,
            ledger,
            models: Models::from_env(),
            changed: Notify::new(),
            quarantines: Arc::new(Semaphore::new(QUARANTINES_MAX)),
            recovered: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            launching: LaunchTally::default(),
        }))
    }

    /// Whether every run that was under way before is on the desk.
    pub fn is_recovered(&self) -> bool {
        self.recovered.load(Ordering::Acquire)
    }

    /// The process is about to end: requests that wait for work are answered at once.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Looks at the desk.
    pub fn look<T>(&self, look: impl FnOnce(&Desk, Moment) -> T) -> T {
        look(&self.desk(), self.clock.now())
    }

    /// How often workers could not be started.
    pub fn launching(&self) -> &LaunchTally {
        &self.launching
    }

    /// What keeps the ledger.
    pub fn ledger(&self) -> &KeeperHandle {
        &self.ledger
    }

    /// Serves the output of a name from now on, and keeps its ledger and its account.
    async fn serve_root(
        self: &Arc<Self>,
        name: &SpecName,
        output: &str,
    ) -> Result<Arc<ServedRoot>, ServeError> {
        let served = self.roots.serve(name, output).await?;
        self.ledger.serve(ledger::ServedRoot {
            name: served.name.clone(),
            root_id: served.root_id.clone(),
            reader: served.root.reader().clone(),
        });
        self.open_account(&served);
        Ok(served)
    }

    /// The desk is whole between calls, so a panic elsewhere cannot break it.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The root of a run, if its name is served.
    fn root_of(&self, run: &RunId) -> Option<Arc<ServedRoot>> {
        self.roots.get(&run.name)
    }

    fn opener(&self, name: &SpecName, request: &str, who: &str) -> Opener {
        Opener {
            name: name.clone(),
            who: who.to_owned(),
            request: request.to_owned(),
            now: self.clock.wall(),
            force: None,
            retry: 0,
        }
    }

    /// An opener for what nobody asked for, such as taking a run over.
    fn own_opener(&self, name: &SpecName) -> Result<Opener, Refusal> {
        Ok(self.opener(name, fresh_id()?.as_str(), &self.who.to_string()))
    }
}

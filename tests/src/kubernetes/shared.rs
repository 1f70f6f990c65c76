//! The store that server, controllers and nodes share, and how each hears of the others' changes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::clock::Clock;
use super::faults::Faults;
use super::node::processes::Offer;
use super::store::Store;

/// Everything that is shared.
#[derive(Debug)]
pub struct Shared {
    store: Mutex<Store>,
    changed: tokio::sync::watch::Sender<u64>,
    woken: Condvar,
    era: AtomicU64,
    over: AtomicBool,
    /// Whether the controllers rest.
    pub paused: AtomicBool,
    /// What goes wrong.
    pub faults: Faults,
    /// What the node has to offer.
    pub offer: Offer,
    /// The time.
    pub clock: Clock,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// A new cluster.
    pub fn new() -> Self {
        let clock = Clock::default();
        Self {
            store: Mutex::new(Store::new(clock.clone())),
            changed: tokio::sync::watch::channel(0).0,
            woken: Condvar::new(),
            era: AtomicU64::new(0),
            over: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            faults: Faults::default(),
            offer: Offer::default(),
            clock,
        }
    }

    /// Reads the store.
    pub fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.store.lock().unwrap())
    }

    /// Changes the store and tells everybody who waits.
    pub fn write<T>(&self, write: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store.lock().unwrap();
        let before = store.revision();
        let written = write(&mut store);
        let after = store.revision();
        drop(store);
        if after != before {
            self.changed.send_replace(after);
            self.woken.notify_all();
        }
        written
    }

    /// Waits until the store is newer than `revision`, or for `longest`.
    pub fn wait_for_change(&self, revision: u64, longest: Duration) {
        let store = self.store.lock().unwrap();
        drop(self.woken.wait_timeout_while(store, longest, |store| {
            store.revision() == revision && !self.is_over()
        }));
    }

    /// Hears of changes.
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Number of the watches that run; see [`Self::drop_watches`].
    pub fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// Ends all watches that run.
    pub fn drop_watches(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        self.changed.send_modify(|_| {});
    }

    /// Whether the cluster is to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends controllers and nodes.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.woken.notify_all();
    }
}

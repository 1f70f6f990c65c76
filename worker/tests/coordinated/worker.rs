//! A worker on a thread of the test.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nightshift_storage::sync::Durability;
use nightshift_worker::forced::Forced;
use nightshift_worker::identity::Identity;
use nightshift_worker::member::{Means, work};
use nightshift_worker::memory::Guard;
use nightshift_worker::pace::Pace;
use nightshift_worker::source::Drain;
use nightshift_worker::source::remote::{Ending, Settings, Tally};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

use crate::prepared::PATIENCE;

/// A worker that is to be started.
pub(crate) struct Worker {
    pub(crate) settings: Settings,
    pub(crate) pace: Option<u64>,
}

/// A worker that runs.
pub(crate) struct Running {
    pub(crate) drain: Drain,
    thread: JoinHandle<(Ending, Tally)>,
}

impl Worker {
    /// One compute thread that ends when nothing is under way.
    pub(crate) fn of(coordinator: &str) -> Self {
        let settings = Settings {
            coordinator: Endpoint::from_shared(coordinator.to_owned()).unwrap(),
            worker: Identity::of_this_process().worker_name().unwrap(),
            run: None,
            threads: 1,
            exit_when_idle: true,
            give_up_after: Duration::from_secs(600),
            durability: Durability::None,
        };
        Self { settings, pace: None }
    }

    /// The same with a limit on rows a second.
    pub(crate) fn slow(mut self, rows_per_second: u64) -> Self {
        self.pace = Some(rows_per_second);
        self
    }

    /// Starts it.
    pub(crate) fn start(self, runtime: &Runtime) -> Running {
        let drain = Drain::default();
        let (handle, for_worker) = (runtime.handle().clone(), drain.clone());
        let Self { settings, pace } = self;
        let pace = pace.and_then(NonZeroU64::new).map(Pace::new);
        let who = Identity::of_this_process();
        let thread = std::thread::spawn(move || {
            let memory = Arc::new(Guard::of_this_process());
            let (forced, meter) = (Forced::default(), Arc::default());
            let means = Means { pace, forced, memory, meter };
            work(settings, who, means, for_worker, handle).unwrap()
        });
        Running { drain, thread }
    }
}

impl Running {
    /// Waits for its end, with a bound.
    pub(crate) fn finish(self) -> (Ending, Tally) {
        let started = Instant::now();
        while !self.thread.is_finished() {
            assert!(started.elapsed() < PATIENCE, "the worker does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().unwrap()
    }
}

//! The thread in which the controllers of the cluster run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::jobs::Jobs;
use super::shared::Shared;
use super::store::Store;

/// Longest time between two steps: time passes without changes too.
const TICK: Duration = Duration::from_millis(20);

/// Starts the Job controller and the collectors of garbage and of pods. They end with the cluster.
pub fn start(shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut jobs = Jobs::default();
        while !shared.is_over() {
            let revision = shared.read(Store::revision);
            if !shared.paused.load(Ordering::SeqCst) {
                shared.write(|store| {
                    jobs.step(store, &shared.faults);
                    store.collect_garbage();
                    store.end_unscheduled();
                });
            }
            // Whatever the step itself changed is looked at again at once.
            shared.wait_for_change(revision, TICK);
        }
    })
}

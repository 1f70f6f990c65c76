//! Waiting for a level, with a bound.

use std::time::{Duration, Instant};

/// Longest time that anything in these tests may take. A machine that is busy is slow; one
/// that needs this long has a process that hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks; a look that takes long is taken less often.
const GLANCE: Duration = Duration::from_millis(1);

/// As [`wait_for`], with a probe that waits itself, such as for an answer.
pub async fn wait_until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Looks until `probe` has an answer; fails after [`PATIENCE`], naming `what` was awaited.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        let looked = Instant::now();
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(GLANCE.max(looked.elapsed() * 2));
    }
}

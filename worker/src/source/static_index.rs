//! One fixed shard for a process that shares nothing but the output root with the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{Lease, Token};
use nightshift_core::record::{FailureClass, Record};

use super::{Acquired, Attempt, Drain, Failure, RunWork, ShardSource, Verdict};

/// A shard that is handed out once. What happens after a failure is the business of whoever
/// started the process: it ends with the exit code that says whether another try makes sense.
#[derive(Debug)]
pub struct StaticIndex {
    work: Arc<RunWork>,
    once: Once,
}

/// The one lease.
#[derive(Debug)]
struct Once {
    shard: ShardIndex,
    drain: Drain,
    handed_out: AtomicBool,
}

impl StaticIndex {
    /// The source of `shard` of `work`.
    pub fn new(work: Arc<RunWork>, shard: ShardIndex, drain: Drain) -> Self {
        Self { work, once: Once::new(shard, drain) }
    }
}

impl ShardSource for StaticIndex {
    fn acquire(&self, _max: u32) -> Acquired {
        match self.once.take() {
            Some(lease) => Acquired::Leases { work: Arc::clone(&self.work), leases: vec![lease] },
            None => Acquired::Retire,
        }
    }

    fn decided(&self, _attempt: &Attempt, _record: &Record, _won: bool) {}

    fn failed(&self, _attempt: &Attempt, failure: Failure) -> Verdict {
        verdict(failure)
    }
}

impl Once {
    fn new(shard: ShardIndex, drain: Drain) -> Self {
        Self { shard, drain, handed_out: AtomicBool::new(false) }
    }

    fn take(&self) -> Option<Lease> {
        if self.drain.is_requested() || self.handed_out.swap(true, Ordering::Relaxed) {
            return None;
        }
        let token = Token { epoch: 0, sequence: 0 };
        Some(Lease { token, shard: self.shard, earlier_attempts: 0 })
    }
}

fn verdict(failure: Failure) -> Verdict {
    match failure.class {
        // The rows are at fault: another process could do no better.
        FailureClass::Data => Verdict::Quarantine { failure, attempts: 1 },
        // Nobody in this process tries again, so the process has to say that it failed.
        _ => Verdict::StopRun(failure),
    }
}

#[cfg(test)]
mod tests {
    use nightshift_core::exit::Exit;

    use super::super::Scope;
    use super::*;

    #[test]
    fn the_shard_is_handed_out_once_and_not_at_all_while_draining() {
        let once = Once::new(ShardIndex(7), Drain::default());
        assert_eq!(once.take().map(|lease| lease.shard), Some(ShardIndex(7)));
        assert_eq!(once.take(), None);
        let drain = Drain::default();
        drain.request();
        assert_eq!(Once::new(ShardIndex(7), drain).take(), None);
    }

    #[test]
    fn no_failure_is_passed_over_in_silence() {
        for class in [
            FailureClass::Preempted,
            FailureClass::Lost,
            FailureClass::Transient,
            FailureClass::Data,
            FailureClass::Config,
            FailureClass::Cancelled,
        ] {
            let (exit, scope) = (Exit::Io, Scope::Everywhere);
            let failure = Failure { class, reason: "r".into(), message: "m".into(), exit, scope };
            match verdict(failure) {
                Verdict::Quarantine { .. } => assert_eq!(class, FailureClass::Data),
                Verdict::StopRun(_) => assert_ne!(class, FailureClass::Data),
                Verdict::Handled => panic!("{class:?} would end as a success"),
            }
        }
    }
}

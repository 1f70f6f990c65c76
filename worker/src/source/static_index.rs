//! One fixed shard for a process that shares nothing but the output root with the others.

use std::sync::atomic::{AtomicBool, Ordering};

use nightshift_core::ids::ShardIndex;
use nightshift_core::lease::{Lease, Token};
use nightshift_core::record::FailureClass;

use super::{Acquired, Drain, Failure, ShardSource, Verdict};

/// A shard that is handed out once. What happens after a failure is the business of whoever
/// started the process: it ends with the exit code that says whether another try makes sense.
#[derive(Debug)]
pub struct StaticIndex {
    shard: ShardIndex,
    drain: Drain,
    handed_out: AtomicBool,
}

impl StaticIndex {
    /// The source of `shard`.
    pub fn new(shard: ShardIndex, drain: Drain) -> Self {
        Self { shard, drain, handed_out: AtomicBool::new(false) }
    }
}

impl ShardSource for StaticIndex {
    fn acquire(&self, _max: u32) -> Acquired {
        if self.drain.is_requested() || self.handed_out.swap(true, Ordering::Relaxed) {
            return Acquired::Retire;
        }
        let token = Token { epoch: 0, sequence: 0 };
        Acquired::Leases(vec![Lease { token, shard: self.shard, earlier_attempts: 0 }])
    }

    fn decided(&self, _shard: ShardIndex) {}

    fn failed(&self, _lease: Lease, failure: Failure) -> Verdict {
        match failure.class {
            // The rows are at fault: another process could do no better.
            FailureClass::Data => Verdict::Quarantine { failure, attempts: 1 },
            // Nobody in this process tries again, so the process has to say that it failed.
            _ => Verdict::StopRun(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use nightshift_core::exit::Exit;

    use super::*;

    fn lease(source: &StaticIndex) -> Lease {
        match source.acquire(8) {
            Acquired::Leases(leases) if leases.len() == 1 => leases[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_shard_is_handed_out_once_and_not_at_all_while_draining() {
        let source = StaticIndex::new(ShardIndex(7), Drain::default());
        assert_eq!(lease(&source).shard, ShardIndex(7));
        assert_eq!(source.acquire(8), Acquired::Retire);
        let drain = Drain::default();
        drain.request();
        assert_eq!(StaticIndex::new(ShardIndex(7), drain).acquire(8), Acquired::Retire);
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
            let source = StaticIndex::new(ShardIndex(7), Drain::default());
            let lease = lease(&source);
            let failure =
                Failure { class, reason: "r".into(), message: "m".into(), exit: Exit::Io };
            match source.failed(lease, failure) {
                Verdict::Quarantine { .. } => assert_eq!(class, FailureClass::Data),
                Verdict::StopRun(_) => assert_ne!(class, FailureClass::Data),
                Verdict::Handled => panic!("{class:?} would end as a success"),
            }
        }
    }
}

//! One fixed shard for a process that shares nothing but the output root with the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    handed_out: bool,
    failure: Option<Failure>,
}

impl StaticIndex {
    /// The source of `shard`.
    pub fn new(shard: ShardIndex, drain: Drain) -> Self {
        Self { shard, drain, state: Mutex::new(State::default()) }
    }

    /// Why the attempt ended without a record, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShardSource for StaticIndex {
    fn acquire(&self, _max: u32) -> Acquired {
        let mut state = self.lock();
        if self.drain.is_requested() || std::mem::replace(&mut state.handed_out, true) {
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
            FailureClass::Config => {
                self.lock().failure = Some(failure.clone());
                Verdict::StopRun(failure)
            }
            _ => {
                self.lock().failure = Some(failure);
                Verdict::Handled
            }
        }
    }
}

//! Attempts that fail because somebody wants to see what happens then.
//!
//! Only a flag on the command line forces them: no variable of the environment, no field of a
//! spec. An attempt that is forced to fail ends like one whose process died (`lost`): it counts
//! against the crash budget of its shard, and the shard is tried again within it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use nightshift_core::exit::Exit;
use nightshift_core::ids::ShardIndex;
use nightshift_core::record::FailureClass;
use thiserror::Error;

use crate::source::{Failure, Scope};

/// Reason of an attempt that was forced to fail, in logs, reports and records.
pub const REASON: &str = "forced_to_fail";

/// How often attempts at a shard are to fail: `3` once, `3:2` twice, `3:always`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForcedShard {
    shard: ShardIndex,
    /// Attempts of this process; without a number all of them.
    times: Option<u32>,
}

/// A value of `--fail-shard` that says no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("write a shard's index, as in 3, 3:2 for two attempts or 3:always")]
pub struct InvalidForcedShard;

/// Which attempts of this process are still to fail; shared by its threads.
#[derive(Debug, Clone, Default)]
pub struct Forced(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    left: BTreeMap<ShardIndex, Option<u32>>,
    failed: u64,
}

impl FromStr for ForcedShard {
    type Err = InvalidForcedShard;

    fn from_str(text: &str) -> Result<Self, InvalidForcedShard> {
        let (shard, times) = text.split_once(':').unwrap_or((text, "1"));
        let times = match times {
            "always" => None,
            times => Some(times.parse().ok().filter(|times| *times > 0).ok_or(InvalidForcedShard)?),
        };
        let shard = shard.parse().map_err(|_| InvalidForcedShard)?;
        Ok(Self { shard: ShardIndex(shard), times })
    }
}

impl Forced {
    /// Fails what `shards` name; where there is anything the log says so.
    pub fn new(shards: &[ForcedShard]) -> Self {
        let left: BTreeMap<_, _> = shards.iter().map(|one| (one.shard, one.times)).collect();
        if !left.is_empty() {
            let shards = left.keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
            tracing::warn!(shards, "REHEARSAL: attempts at these shards are forced to fail");
        }
        Self(Arc::new(Mutex::new(State { left, failed: 0 })))
    }

    /// Whether this attempt at `shard` is to fail, and how.
    pub fn next(&self, shard: ShardIndex) -> Option<Failure> {
        // Whole between calls, so a panic elsewhere cannot break it.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.left.get_mut(&shard)? {
            None => {}
            Some(0) => return None,
            Some(times) => *times -= 1,
        }
        state.failed += 1;
        Some(Failure {
            class: FailureClass::Lost,
            reason: REASON.to_owned(),
            message: "the attempt was forced to fail (--fail-shard)".to_owned(),
            exit: Exit::Io,
            // Neither this host nor the shard is to blame.
            scope: Scope::Everywhere,
        })
    }

    /// What to tell people at the end, if anything was forced.
    pub fn summary(&self) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = state.failed;
        let attempts = if failed == 1 { "attempt was" } else { "attempts were" };
        let some = !state.left.is_empty();
        some.then(|| format!("REHEARSAL: {failed} {attempts} forced to fail (--fail-shard)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forced(text: &str) -> Forced {
        Forced::new(&text.split(',').map(|one| one.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn so_many_attempts_fail_as_somebody_asked_for() {
        let forced = forced("3,4:2,5:always");
        let fails = |shard| forced.next(ShardIndex(shard)).is_some();
        assert_eq!([fails(3), fails(3)], [true, false]);
        assert_eq!([fails(4), fails(4), fails(4)], [true, true, false]);
        assert!((0..100).all(|_| fails(5)));
        assert!(!fails(0));
        let said = forced.summary().unwrap();
        assert!(said.contains("103 attempts were"), "{said}");
    }

    #[test]
    fn without_the_flag_nothing_fails_and_nothing_is_said() {
        let forced = Forced::default();
        assert_eq!((forced.next(ShardIndex(3)), forced.summary()), (None, None));
    }

    #[test]
    fn values_that_name_no_attempt_are_refused() {
        for bad in ["", "x", "-1", "3:0", "3:", "3:never", ":1", "4294967296", "3:1:1"] {
            assert_eq!(bad.parse::<ForcedShard>(), Err(InvalidForcedShard), "{bad}");
        }
    }
}

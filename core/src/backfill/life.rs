//! Whether whoever holds an unfinished run is still at work.
//!
//! The holder of a run is who opened its newest epoch, or who claimed it if it has none. To take
//! a living holder for dead wastes work, since its run is joined; to take a dead one for living
//! wastes time. Neither makes a result wrong, so clocks and process numbers are good enough.

use jiff::{SignedDuration, Timestamp};

/// How long a holder on another host may give no sign of life before its run is joined: longer
/// than any shard should take, and within the hour after which the next tick usually comes.
pub const JOIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What the operating system says about the holder's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// It runs here.
    Runs,
    /// It ran here, and is gone.
    Gone,
    /// It runs on another host, or the system does not say.
    Elsewhere,
}

/// Whether a holder counts as alive at `now`, whose newest claim, epoch or record is of `sign`.
///
/// On its own host the process table knows. Elsewhere a sign of the last `join_after` counts,
/// and so does one that lies as little in the future: clocks differ.
pub fn is_alive(
    process: Process,
    sign: Timestamp,
    now: Timestamp,
    join_after: SignedDuration,
) -> bool {
    match process {
        Process::Runs => true,
        Process::Gone => false,
        Process::Elsewhere => now.duration_since(sign).abs() < join_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_table_knows_best_and_elsewhere_time_tells() {
        let sign: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let after = |minutes| sign + SignedDuration::from_mins(minutes);
        for (process, minutes, expected) in [
            (Process::Runs, 0, true),
            (Process::Runs, 100_000, true),
            (Process::Gone, 0, false),
            (Process::Elsewhere, 0, true),
            (Process::Elsewhere, 9, true),
            (Process::Elsewhere, 10, false),
            (Process::Elsewhere, -9, true),
            (Process::Elsewhere, -100_000, false),
        ] {
            let found = is_alive(process, sign, after(minutes), JOIN_AFTER);
            assert_eq!(found, expected, "{process:?} after {minutes} minutes");
        }
    }
}

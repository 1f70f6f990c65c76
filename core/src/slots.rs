//! How many workers a run is worth: its slots.
//!
//! A slot is one worker at a time: a pod index of its Job, or a process. A run never needs more
//! slots than it has shards left. Taking slots away costs something too, so it is done rarely and
//! never takes a worker away that holds a lease:
//!
//! - More are wanted than there are: at once.
//! - At most half of them are wanted: down to that, but not below the highest slot whose worker
//!   holds a lease, because slots are taken from the top.
//! - In between, and once nothing is left to do: nothing changes. The run's verdict ends the rest.

/// What there is to do in a run, and who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Workers that the spec allows.
    pub parallelism: u32,
    /// Shards without a record.
    pub undecided: u64,
    /// The highest slot whose worker holds a lease, plus one; 0 if none does.
    pub busy: u32,
}

impl Load {
    /// Slots for which there is work.
    pub fn useful(self) -> u32 {
        let left = u32::try_from(self.undecided).unwrap_or(u32::MAX);
        left.min(self.parallelism).max(1)
    }

    /// How many slots there should be where there are `now`, or none yet.
    pub fn slots(self, now: Option<u32>) -> u32 {
        let useful = self.useful();
        match now {
            None | Some(0) => useful,
            Some(now) if self.undecided == 0 => now,
            // More than the spec allows, because somebody has changed the Job by hand.
            Some(now) if now > self.parallelism.max(1) => useful.max(self.busy.min(now)),
            Some(now) if useful > now => useful,
            Some(now) if useful <= now / 2 => useful.max(self.busy.min(now)),
            Some(now) => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(parallelism: u32, undecided: u64, busy: u32) -> Load {
        Load { parallelism, undecided, busy }
    }

    #[test]
    fn a_run_begins_with_as_many_slots_as_it_can_use() {
        assert_eq!(load(10, 200, 0).slots(None), 10);
        assert_eq!(load(10, 3, 0).slots(None), 3);
        assert_eq!(load(10, 0, 0).slots(None), 1, "a Job without pods would be complete at once");
        assert_eq!(load(0, 5, 0).slots(None), 1);
    }

    #[test]
    fn slots_go_when_half_of_them_are_idle_and_no_lease_is_lost() {
        assert_eq!(load(10, 9, 10).slots(Some(10)), 10, "one idle slot is not worth a change");
        assert_eq!(load(10, 6, 0).slots(Some(10)), 10);
        assert_eq!(load(10, 5, 0).slots(Some(10)), 5);
        assert_eq!(load(10, 5, 8).slots(Some(10)), 8, "slot 7 holds a lease");
        assert_eq!(load(10, 5, 10).slots(Some(10)), 10);
        assert_eq!(load(10, 0, 0).slots(Some(10)), 10, "the verdict ends them");
    }

    #[test]
    fn slots_come_back() {
        assert_eq!(load(10, 8, 2).slots(Some(2)), 8);
        assert_eq!(load(10, 8, 2).slots(Some(0)), 8);
        assert_eq!(load(4, 100, 12).slots(Some(12)), 12, "its workers are busy");
        assert_eq!(load(4, 100, 2).slots(Some(12)), 4);
    }

    proptest! {
        #[test]
        fn slots_are_useful_bounded_and_settle(
            parallelism in 0u32..200, undecided in 0u64..400, busy in 0u32..220, now in 0u32..220,
        ) {
            let load = load(parallelism, undecided, busy);
            let slots = load.slots(Some(now));
            prop_assert!(slots >= 1);
            prop_assert!(slots <= now.max(parallelism).max(1));
            prop_assert!(undecided == 0 || slots >= load.useful());
            prop_assert!(slots >= busy.min(now), "a busy slot is taken away");
            prop_assert_eq!(load.slots(Some(slots)), slots, "one step is enough");
        }

        /// While a run gets on and nothing is busy for long, changes are as many as halvings.
        #[test]
        fn a_whole_run_changes_its_slots_seldom(parallelism in 1u32..1_000, shards in 1u64..3_000) {
            let mut slots = load(parallelism, shards, 0).slots(None);
            let mut changes = 0u32;
            for undecided in (0..shards).rev() {
                let next = load(parallelism, undecided, 0).slots(Some(slots));
                changes += u32::from(next != slots);
                slots = next;
            }
            prop_assert!(changes <= parallelism.ilog2() + 1, "{changes} changes");
        }
    }
}

//! How long each shard takes, and who has it when nobody leases.

use std::time::Duration;

use crate::args::SkewArgs;

/// Lengths of the shards of a run, by index.
#[derive(Debug)]
pub(super) struct Lengths {
    /// How many times the unit each takes.
    units: Vec<u32>,
    unit: Duration,
}

/// Fixed assignments of shards to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assignment {
    /// Shard index modulo number of workers.
    Modulo,
    /// As many neighbouring shards for each worker.
    Blocks,
}

impl Lengths {
    /// A few long shards among many short ones, such that the ideal is `args.ideal`.
    pub(super) fn skewed(args: &SkewArgs) -> Self {
        let long = positions(args.shards, args.long, args.seed);
        let units = |shard| if long.contains(&shard) { args.times.max(1) } else { 1 };
        Self::with_ideal((0..args.shards).map(units).collect(), args)
    }

    /// Shards of one length, such that the ideal is `args.ideal`.
    pub(super) fn even(args: &SkewArgs) -> Self {
        Self::with_ideal(vec![1; args.shards as usize], args)
    }

    fn with_ideal(units: Vec<u32>, args: &SkewArgs) -> Self {
        let share = units.iter().sum::<u32>() as f64 / args.workers as f64;
        let longest = units.iter().max().copied().unwrap_or(1);
        let unit = Duration::from_secs_f64(args.ideal / share.max(f64::from(longest)));
        Self { units, unit }
    }

    pub(super) fn shards(&self) -> u32 {
        self.units.len() as u32
    }

    /// Lengths in units, which may be used as numbers of rows.
    pub(super) fn units(&self) -> &[u32] {
        &self.units
    }

    /// The length of the shortest.
    pub(super) fn unit(&self) -> Duration {
        self.unit
    }

    pub(super) fn of(&self, shard: u32) -> Duration {
        self.unit * self.units.get(shard as usize).copied().unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = Duration> {
        self.units.iter().map(|units| self.unit * *units)
    }

    /// No assignment to `workers` workers takes less time.
    pub(super) fn ideal(&self, workers: usize) -> Duration {
        let share = self.all().sum::<Duration>() / workers as u32;
        share.max(self.all().max().unwrap_or_default())
    }

    /// What workers take that cost nothing to feed, where the next shard in the order of their
    /// indexes goes to whoever is free first.
    pub(super) fn in_turn(&self, workers: usize) -> Duration {
        let mut free = vec![Duration::ZERO; workers];
        for length in self.all() {
            if let Some(first) = free.iter_mut().min() {
                *first += length;
            }
        }
        free.into_iter().max().unwrap_or_default()
    }

    /// The shards that `worker` of `workers` has, one after the other.
    pub(super) fn of_worker(
        &self,
        assignment: Assignment,
        worker: usize,
        workers: usize,
    ) -> impl Iterator<Item = Duration> {
        let shards = self.units.len();
        let mine = move |shard: usize| match assignment {
            Assignment::Modulo => shard % workers == worker,
            Assignment::Blocks => shard * workers / shards == worker,
        };
        self.all().enumerate().filter(move |(shard, _)| mine(*shard)).map(|(_, length)| length)
    }
}

/// `count` different numbers below `below`, drawn by a generator that `seed` starts (SplitMix64,
/// Steele, Lea and Flood, 2014).
fn positions(below: u32, count: u32, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let mut drawn = Vec::new();
    while drawn.len() < count as usize {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let position = ((mixed ^ (mixed >> 31)) % u64::from(below)) as u32;
        if !drawn.contains(&position) {
            drawn.push(position);
        }
    }
    drawn
}

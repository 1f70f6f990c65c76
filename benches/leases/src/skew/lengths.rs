//! How long each shard takes, and who has it when nobody leases.

use std::time::Duration;

use crate::args::SkewArgs;

/// Lengths of the shards of a run, by index.
#[derive(Debug)]
pub(super) struct Lengths(Vec<Duration>);

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
        let units =
            f64::from(args.shards - args.long) + f64::from(args.long) * f64::from(args.times);
        let longest = if args.long > 0 { f64::from(args.times) } else { 1.0 };
        let short = args.ideal / (units / args.workers as f64).max(longest);
        let long = positions(args.shards, args.long, args.seed);
        let length =
            |shard| short * if long.contains(&shard) { f64::from(args.times) } else { 1.0 };
        Self((0..args.shards).map(|shard| Duration::from_secs_f64(length(shard))).collect())
    }

    /// Shards of one length, such that the ideal is `args.ideal`.
    pub(super) fn even(args: &SkewArgs) -> Self {
        let length = args.ideal * args.workers as f64 / f64::from(args.shards);
        Self(vec![Duration::from_secs_f64(length); args.shards as usize])
    }

    pub(super) fn shards(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn of(&self, shard: u32) -> Duration {
        self.0.get(shard as usize).copied().unwrap_or_default()
    }

    pub(super) fn shortest(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }

    /// No assignment to `workers` workers takes less time.
    pub(super) fn ideal(&self, workers: usize) -> Duration {
        let longest = self.0.iter().max().copied().unwrap_or_default();
        let share = self.0.iter().sum::<Duration>() / workers as u32;
        share.max(longest)
    }

    /// The shards that `worker` of `workers` has, one after the other.
    pub(super) fn of_worker(
        &self,
        assignment: Assignment,
        worker: usize,
        workers: usize,
    ) -> impl Iterator<Item = Duration> {
        let shards = self.0.len();
        let mine = move |shard: usize| match assignment {
            Assignment::Modulo => shard % workers == worker,
            Assignment::Blocks => shard * workers / shards == worker,
        };
        self.0.iter().enumerate().filter(move |(shard, _)| mine(*shard)).map(|(_, length)| *length)
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

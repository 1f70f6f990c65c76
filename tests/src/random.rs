//! Random choices that can be repeated.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Environment variable with the seed of a run that is to be repeated.
pub const SEED_VARIABLE: &str = "NIGHTSHIFT_TEST_SEED";

/// A stream of random numbers: SplitMix64, after Steele, Lea and Flood (OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream for the test called `test`, from [`SEED_VARIABLE`] or else from the clock. The
    /// seed is printed, so that a failure names the command that repeats its choices.
    pub fn for_test(test: &str) -> Self {
        let given = std::env::var(SEED_VARIABLE).ok();
        let given = given.map(|text| text.parse().expect("the seed is a whole number"));
        let seed = given.unwrap_or_else(clock_seed);
        eprintln!(
            "to repeat: {SEED_VARIABLE}={seed} cargo nextest run --workspace -E 'test({test})'"
        );
        Self(seed)
    }

    /// A stream for what need not be repeated, such as the choice of a port.
    pub fn from_clock() -> Self {
        Self(clock_seed())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Whether it happens this time, which it does once in so many times; never for 0.
    pub fn one_in(&mut self, times: u64) -> bool {
        times != 0 && self.below(times) == 0
    }

    /// One of `things`.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[usize::try_from(self.below(things.len() as u64)).unwrap()]
    }

    /// Puts `things` into another order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap();
            things.swap(last, other);
        }
    }

    /// A time from 0 up to `longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap();
        Duration::from_nanos(self.below(nanos.max(1)))
    }
}

fn clock_seed() -> u64 {
    // Some clocks stand still for microseconds: the hasher's keys differ at each call.
    let keys = RandomState::new().hash_one(std::process::id());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as u64 ^ keys
}

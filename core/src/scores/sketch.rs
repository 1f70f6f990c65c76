//! A histogram with bins that grow with their values, from which quantiles are read.
//!
//! A bin is what the leading bits of a 64-bit float say: sign, exponent and the first
//! [`MANTISSA_BITS`] bits of the mantissa. That is 32 bins from each power of two to the next, as
//! in HdrHistogram. No logarithm is taken, so every machine finds the same bin. When there are
//! too many bins, all of them are joined in pairs, as UDDSketch does (Epicoco et al., 2020,
//! *UDDSketch: accurate tracking of quantiles in data streams*): how often depends on the
//! set of values alone, so sketches merge exactly, in any order.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most bins of a sketch that hold a value: about 1 KiB of JSON.
pub const BINS_MAX: usize = 256;

/// Bits of the mantissa that tell bins apart.
const MANTISSA_BITS: u32 = 5;
/// Bits of a float that do not tell bins apart.
const DROPPED_BITS: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
/// Times that bins can be joined until one is left.
const JOINED_MAX: u8 = 16;

/// Width of a bin that was never joined, as a share of its values: a quantile that is read from
/// such bins is at most that far away from the value with its rank. Each time that bins are
/// joined doubles it.
pub const RESOLUTION: f64 = 1.0 / (1 << MANTISSA_BITS) as f64;

/// Counts of values in bins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Sketch {
    /// How often bins were joined in pairs.
    joined: u8,
    /// Bins that hold a value, in the order of their values.
    bins: Vec<(i32, u64)>,
    /// Values in all bins.
    count: u64,
}

/// Bins that cannot be those of a sketch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSketch {
    /// Bins were joined more often than they can be.
    #[error("bins were joined {joined} times; {JOINED_MAX} times make one of all")]
    Joined {
        /// How often.
        joined: u8,
    },
    /// There are too many.
    #[error("there are more than {BINS_MAX} bins")]
    TooMany,
    /// A bin is beyond the largest float.
    #[error("there is no bin {bin}")]
    NoSuchBin {
        /// Its number.
        bin: i64,
    },
    /// More values are counted than there can be.
    #[error("the bins count more values than there can be")]
    Count,
}

/// The bin of a finite value: a number that grows with it, symmetric around 0.
pub(super) fn bin_of(value: f64) -> i32 {
    let size = magnitude(value) as i32;
    if value.is_sign_negative() { -size } else { size }
}

/// The bin of a value without its sign.
pub(super) fn magnitude(value: f64) -> u32 {
    (value.abs().to_bits() >> DROPPED_BITS) as u32
}

impl Sketch {
    /// Values counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Width of the bins, as a share of their values; see [`RESOLUTION`].
    pub fn resolution(&self) -> f64 {
        RESOLUTION * f64::from(1_u32 << self.joined)
    }

    /// Bins as (lowest value, highest value, count), in the order of their values.
    pub fn bins(&self) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
        self.bins.iter().map(|&(bin, count)| {
            let (low, high) = self.edges(bin);
            (low, high, count)
        })
    }

    /// A sketch of bins that were never joined, in their order.
    pub(super) fn of_bins(counted: impl IntoIterator<Item = (i32, u64)>) -> Self {
        let mut sketch = Self::default();
        for (bin, count) in counted {
            push(&mut sketch.bins, (bin, count));
            sketch.count = sketch.count.saturating_add(count);
        }
        sketch
    }

    /// Adds the values of `other`, and joins bins until at most `bins_max` of them hold a value.
    pub(super) fn merge(&mut self, other: &Sketch, bins_max: usize) {
        let joined = self.joined.max(other.joined);
        self.join_to(joined);
        let by = joined - other.joined;
        let theirs = other.bins.iter().map(|&(bin, count)| (shifted(bin, by), count));
        let mut bins = Vec::with_capacity(self.bins.len() + other.bins.len());
        let mut ours = std::mem::take(&mut self.bins).into_iter().peekable();
        for (bin, count) in theirs {
            while let Some(own) = ours.next_if(|(own, _)| *own <= bin) {
                push(&mut bins, own);
            }
            push(&mut bins, (bin, count));
        }
        ours.for_each(|own| push(&mut bins, own));
        self.bins = bins;
        self.count = self.count.saturating_add(other.count);
        self.fit(bins_max);
    }

    /// Joins bins until at most `bins_max` of them hold a value.
    pub(super) fn fit(&mut self, bins_max: usize) {
        while self.bins.len() > bins_max.max(1) && self.joined < JOINED_MAX {
            self.join_to(self.joined + 1);
        }
    }

    fn join_to(&mut self, joined: u8) {
        let by = joined.saturating_sub(self.joined);
        if by == 0 {
            return;
        }
        let mut bins = Vec::with_capacity(self.bins.len());
        for &(bin, count) in &self.bins {
            push(&mut bins, (shifted(bin, by), count));
        }
        self.bins = bins;
        self.joined = joined;
    }

    /// The value below which a share `q` of all values lies, from 0 to 1; none without values.
    ///
    /// Within its bin a value is placed by its rank, as though the bin's values were spread
    /// evenly. The result is at most [`resolution`](Self::resolution) away from the value that has
    /// the rank `floor(q × (count − 1))`, as a share of that value.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q.clamp(0.0, 1.0) * self.count.saturating_sub(1) as f64;
        let mut before = 0_u64;
        for &(bin, count) in &self.bins {
            let after = before.saturating_add(count);
            // The last bin holds what rounding leaves over.
            if rank < after as f64 || after >= self.count {
                let (low, high) = self.edges(bin);
                let within = ((rank - before as f64 + 0.5) / count as f64).clamp(0.0, 1.0);
                return Some(low + within * (high - low));
            }
            before = after;
        }
        None
    }

    /// The lowest and the highest value of a bin.
    fn edges(&self, bin: i32) -> (f64, f64) {
        let edge = |size: u32| {
            let bits = (u64::from(size) << self.joined) << DROPPED_BITS;
            f64::from_bits(bits.min(f64::MAX.to_bits()))
        };
        let size = bin.unsigned_abs();
        let (near, far) = (edge(size), edge(size + 1));
        match bin.signum() {
            // The bin around 0 reaches to both sides.
            0 => (-far, far),
            1 => (near, far),
            _ => (-far, -near),
        }
    }
}

/// The bin that takes a bin up after joining in pairs `by` times.
fn shifted(bin: i32, by: u8) -> i32 {
    bin.signum() * (bin.abs() >> by)
}

/// Appends a bin, or adds to the last one if it is the same.
fn push(bins: &mut Vec<(i32, u64)>, (bin, count): (i32, u64)) {
    match bins.last_mut() {
        Some((last, sum)) if *last == bin => *sum = sum.saturating_add(count),
        _ => bins.push((bin, count)),
    }
}

/// The JSON of a sketch: `{"joined":0,"first":32736,"counts":[3,5,-4,7]}` has 3 values in bin
/// 32736, 5 in the next one, none in the four after that, and 7 in the one that follows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default, skip_serializing_if = "is_zero")]
    joined: u8,
    first: i32,
    counts: Vec<i64>,
}

fn is_zero(joined: &u8) -> bool {
    *joined == 0
}

impl From<Sketch> for Stored {
    fn from(sketch: Sketch) -> Self {
        let first = sketch.bins.first().map_or(0, |(bin, _)| *bin);
        let mut counts = Vec::with_capacity(sketch.bins.len());
        let mut next = first;
        for &(bin, count) in &sketch.bins {
            if bin > next {
                counts.push(i64::from(next) - i64::from(bin));
            }
            // A column has no 9 billion billion rows.
            counts.push(i64::try_from(count).unwrap_or(i64::MAX));
            next = bin + 1;
        }
        Self { joined: sketch.joined, first, counts }
    }
}

impl TryFrom<Stored> for Sketch {
    type Error = InvalidSketch;

    fn try_from(stored: Stored) -> Result<Self, InvalidSketch> {
        let Stored { joined, first, counts } = stored;
        if joined > JOINED_MAX {
            return Err(InvalidSketch::Joined { joined });
        }
        let largest = u64::from(magnitude(f64::MAX) >> joined);
        let mut sketch = Self { joined, bins: Vec::new(), count: 0 };
        let mut bin = i64::from(first);
        for step in counts {
            if step <= 0 {
                bin = bin.saturating_sub(step);
                continue;
            }
            if bin.unsigned_abs() > largest {
                return Err(InvalidSketch::NoSuchBin { bin });
            }
            if sketch.bins.len() == BINS_MAX {
                return Err(InvalidSketch::TooMany);
            }
            let count = step.unsigned_abs();
            let sum = sketch.count.checked_add(count).filter(|sum| i64::try_from(*sum).is_ok());
            sketch.count = sum.ok_or(InvalidSketch::Count)?;
            sketch.bins.push((bin as i32, count));
            bin = bin.saturating_add(1);
        }
        Ok(sketch)
    }
}

//! Collecting statistics while rows are written: a few passes over each batch.

use super::column::{ColumnScores, Range};
use super::sketch::{BINS_MAX, Sketch, bin_of, magnitude};
use super::{COLUMN_NAME_MAX_BYTES, COLUMNS_MAX, RECORD_BINS_MAX, Scores};

/// Widest range of bins that is counted in an array: 128 powers of two, far more than real
/// scores have. Values that lie further apart are sorted instead.
const DENSE_BINS_MAX: u32 = 4_096;
/// Sums that are kept beside each other, so that the processor adds several at a time.
const LANES: usize = 8;

/// Statistics in the making, of the columns of one output.
#[derive(Debug)]
pub struct Collector {
    columns: Vec<ColumnScores>,
    bins_max: usize,
    finite: Vec<f64>,
    bins: Bins,
}

impl Collector {
    /// A collector for the columns `names`: the first [`COLUMNS_MAX`] of those whose name is at
    /// most [`COLUMN_NAME_MAX_BYTES`] long.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let fits = names.into_iter().filter(|name| name.len() <= COLUMN_NAME_MAX_BYTES);
        let columns: Vec<ColumnScores> =
            fits.take(COLUMNS_MAX).map(|name| ColumnScores::new(name.to_owned())).collect();
        let bins_max = (RECORD_BINS_MAX / columns.len().max(1)).min(BINS_MAX);
        Self { columns, bins_max, finite: Vec::new(), bins: Bins::default() }
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(ColumnScores::name)
    }

    /// Counts more rows of the column at position `column`: `values`, and `nulls` without one.
    /// A position that has no column is passed over.
    pub fn add(&mut self, column: usize, values: &[f64], nulls: u64) {
        let Some(scores) = self.columns.get_mut(column) else { return };
        let finite = match values.iter().all(|value| value.is_finite()) {
            true => values,
            false => {
                self.finite.clear();
                self.finite.extend(values.iter().filter(|value| value.is_finite()));
                &self.finite
            }
        };
        scores.count_missing(nulls, (values.len() - finite.len()) as u64);
        if let Some(range) = range(finite) {
            scores.add(Some(range), &self.bins.count(finite), self.bins_max);
        }
    }

    /// The statistics; none of an output without numeric columns.
    pub fn finish(self) -> Option<Scores> {
        (!self.columns.is_empty()).then_some(Scores { columns: self.columns })
    }
}

/// Where finite values lie; none without values.
fn range(values: &[f64]) -> Option<Range> {
    let first = *values.first()?;
    let (mut min, mut max, mut sum) = ([first; LANES], [first; LANES], [0.0; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        let lanes = min.iter_mut().zip(&mut max).zip(&mut sum);
        for (&value, ((min, max), sum)) in chunk.iter().zip(lanes) {
            *min = if value < *min { value } else { *min };
            *max = if value > *max { value } else { *max };
            *sum += value;
        }
    }
    let min = min.iter().chain(rest).fold(first, |least, value| least.min(*value));
    let max = max.iter().chain(rest).fold(first, |most, value| most.max(*value));
    let sum: f64 = sum.iter().chain(rest).sum();
    let mean = sum / values.len() as f64;
    // A second pass, because the difference of two large sums would have no digits left.
    let mut squares = [0.0; LANES];
    for chunk in chunks {
        for (value, square) in chunk.iter().zip(&mut squares) {
            *square += (value - mean) * (value - mean);
        }
    }
    let rest = rest.iter().map(|value| (value - mean) * (value - mean));
    let variance = squares.into_iter().chain(rest).sum::<f64>() / values.len() as f64;
    Some(Range::bounded(min, max, mean, variance.sqrt()))
}

/// Counts values by their bins, with memory that is used again.
#[derive(Debug, Default)]
struct Bins {
    /// Values of each bin, negative and positive ones beside each other.
    dense: Vec<u64>,
    sorted: Vec<i32>,
}

impl Bins {
    fn count(&mut self, values: &[f64]) -> Sketch {
        let (mut least, mut most) = (u32::MAX, 0);
        for value in values {
            let size = magnitude(*value);
            least = least.min(size);
            most = most.max(size);
        }
        if most.saturating_sub(least) < DENSE_BINS_MAX {
            self.count_dense(values, least, most)
        } else {
            self.count_sorted(values)
        }
    }

    fn count_dense(&mut self, values: &[f64], least: u32, most: u32) -> Sketch {
        self.dense.clear();
        self.dense.resize(2 * (most - least + 1) as usize, 0);
        for value in values {
            let place = 2 * (magnitude(*value) - least) as usize;
            if let Some(count) = self.dense.get_mut(place + usize::from(value.is_sign_positive())) {
                *count += 1;
            }
        }
        let sizes = least as i32..most as i32 + 1;
        let counts = self.dense.as_chunks::<2>().0.iter();
        let negative = sizes.clone().zip(counts.clone()).rev().map(|(size, [n, _])| (-size, *n));
        let positive = sizes.zip(counts).map(|(size, [_, n])| (size, *n));
        Sketch::of_bins(negative.chain(positive).filter(|(_, count)| *count > 0))
    }

    fn count_sorted(&mut self, values: &[f64]) -> Sketch {
        self.sorted.clear();
        self.sorted.extend(values.iter().map(|value| bin_of(*value)));
        self.sorted.sort_unstable();
        let runs = self.sorted.chunk_by(|a, b| a == b);
        Sketch::of_bins(runs.filter_map(|run| Some((*run.first()?, run.len() as u64))))
    }
}

//! The statistics of one column.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sketch::{BINS_MAX, Sketch};
use super::{COLUMN_NAME_MAX_BYTES, COLUMNS_MAX};

/// Statistics of one numeric output column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ColumnScores {
    name: String,
    nulls: u64,
    not_finite: u64,
    range: Option<Range>,
    sketch: Sketch,
}

/// Where the finite values of a column lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with the number of values as the divisor.
    pub std: f64,
}

/// Statistics that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidScores {
    /// There are too many columns.
    #[error("{count} columns have statistics; {COLUMNS_MAX} may")]
    TooManyColumns {
        /// Columns.
        count: usize,
    },
    /// A name is too long.
    #[error("the name of a column has {size_bytes} bytes; {COLUMN_NAME_MAX_BYTES} are allowed")]
    LongName {
        /// Its length.
        size_bytes: usize,
    },
    /// A column is there twice.
    #[error("column `{column}` has statistics twice")]
    ColumnTwice {
        /// The column.
        column: String,
    },
    /// The rows are not the values and what is missing.
    #[error("column `{column}` has other rows than its values, nulls and not finite ones together")]
    Rows {
        /// The column.
        column: String,
    },
    /// Smallest, largest, mean and deviation do not fit, or are there without values.
    #[error("column `{column}` has a smallest, largest, mean and deviation that cannot be")]
    Range {
        /// The column.
        column: String,
    },
}

impl ColumnScores {
    /// Statistics of no rows yet.
    pub(super) fn new(name: String) -> Self {
        Self { name, nulls: 0, not_finite: 0, range: None, sketch: Sketch::default() }
    }

    /// Name of the column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rows, with and without a value.
    pub fn rows(&self) -> u64 {
        self.sketch.count().saturating_add(self.missing())
    }

    /// Rows without a value.
    pub fn nulls(&self) -> u64 {
        self.nulls
    }

    /// Rows whose value is infinite or not a number.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// Rows without a value that a reader can use: null, infinite or not a number.
    pub fn missing(&self) -> u64 {
        self.nulls.saturating_add(self.not_finite)
    }

    /// Where the finite values lie; none if there are none.
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// Counts of the finite values.
    pub fn sketch(&self) -> &Sketch {
        &self.sketch
    }

    /// The value below which a share `q` of the finite values lies; none if there are none. See
    /// [`Sketch::quantile`] for how exact it is.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let Range { min, max, .. } = self.range?;
        Some(self.sketch.quantile(q)?.clamp(min, max))
    }

    pub(super) fn merge(&mut self, other: &ColumnScores) {
        self.count_missing(other.nulls, other.not_finite);
        self.add(other.range, &other.sketch, BINS_MAX);
    }

    pub(super) fn count_missing(&mut self, nulls: u64, not_finite: u64) {
        self.nulls = self.nulls.saturating_add(nulls);
        self.not_finite = self.not_finite.saturating_add(not_finite);
    }

    /// Adds finite values; `range` is theirs.
    pub(super) fn add(&mut self, range: Option<Range>, values: &Sketch, bins_max: usize) {
        self.range = match (self.range, range) {
            (Some(ours), Some(theirs)) => {
                Some(ours.merged(self.sketch.count(), theirs, values.count()))
            }
            (ours, theirs) => ours.or(theirs),
        };
        self.sketch.merge(values, bins_max);
    }
}

impl Range {
    /// A range whose mean and deviation are possible ones, even where sums of huge values left the
    /// range of floats: a mean lies between the extremes, and a deviation is at most half their
    /// distance (Popoviciu, 1935).
    pub(super) fn bounded(min: f64, max: f64, mean: f64, std: f64) -> Self {
        // Halves first: their sum and difference are finite.
        let (middle, most) = (min / 2.0 + max / 2.0, max / 2.0 - min / 2.0);
        let mean = if mean.is_finite() { mean.clamp(min, max) } else { middle };
        let std = if std.is_finite() { std.clamp(0.0, most) } else { most };
        Self { min, max, mean, std }
    }

    /// The range of `count` values in this and `other_count` in another (Chan, Golub and LeVeque,
    /// 1983, *Algorithms for computing the sample variance*).
    fn merged(self, count: u64, other: Range, other_count: u64) -> Self {
        let (ours, theirs) = (count as f64, other_count as f64);
        let all = ours + theirs;
        let apart = other.mean - self.mean;
        let mean = self.mean + apart * (theirs / all);
        let within = self.std * self.std * (ours / all) + other.std * other.std * (theirs / all);
        let variance = within + apart * apart * (ours / all) * (theirs / all);
        Self::bounded(self.min.min(other.min), self.max.max(other.max), mean, variance.sqrt())
    }
}

/// The JSON of the statistics of a column.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    column: String,
    rows: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    nulls: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    not_finite: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    std: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sketch: Option<Sketch>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<ColumnScores> for Stored {
    fn from(scores: ColumnScores) -> Self {
        let rows = scores.rows();
        let ColumnScores { name, nulls, not_finite, range, sketch } = scores;
        Self {
            column: name,
            rows,
            nulls,
            not_finite,
            min: range.map(|range| range.min),
            max: range.map(|range| range.max),
            mean: range.map(|range| range.mean),
            std: range.map(|range| range.std),
            sketch: range.map(|_| sketch),
        }
    }
}

impl TryFrom<Stored> for ColumnScores {
    type Error = InvalidScores;

    fn try_from(stored: Stored) -> Result<Self, InvalidScores> {
        let Stored { column, rows, nulls, not_finite, min, max, mean, std, sketch } = stored;
        if column.len() > COLUMN_NAME_MAX_BYTES {
            return Err(InvalidScores::LongName { size_bytes: column.len() });
        }
        let range = match (min, max, mean, std) {
            (Some(min), Some(max), Some(mean), Some(std)) => Some(Range { min, max, mean, std }),
            (None, None, None, None) => None,
            _ => return Err(InvalidScores::Range { column }),
        };
        let sketch = sketch.unwrap_or_default();
        let possible = match range {
            None => sketch.count() == 0,
            Some(Range { min, max, mean, std }) => {
                let all = [min, max, mean, std].iter().all(|value| value.is_finite());
                all && sketch.count() > 0 && min <= mean && mean <= max && std >= 0.0
            }
        };
        if !possible {
            return Err(InvalidScores::Range { column });
        }
        let counted = nulls.checked_add(not_finite).and_then(|sum| sum.checked_add(sketch.count()));
        if counted != Some(rows) {
            return Err(InvalidScores::Rows { column });
        }
        Ok(Self { name: column, nulls, not_finite, range, sketch })
    }
}

//! Score statistics: what the numbers in the output look like, small enough for every record.
//!
//! A record carries, for each numeric column of its output, how many values there are and are
//! missing, the smallest, the largest, mean and standard deviation, and a [`Sketch`] from which
//! any quantile can be read. Statistics of shards merge into those of the run, so that the final
//! has them without another look at the data ([`Tally`](crate::conclusion::Tally)). A publish
//! gate compares them with those of an accepted run.
//!
//! Sketches merge exactly: any order, any grouping, the same bins. Means and deviations are sums
//! of floating point numbers, so they are merged in the order of the shards, like all sums of a
//! final.

use serde::{Deserialize, Serialize};

mod collect;
mod column;
mod sketch;

pub use collect::Collector;
pub use column::{ColumnScores, InvalidScores, Range};
pub use sketch::{BINS_MAX, InvalidSketch, RESOLUTION, Sketch};

/// Columns that have statistics, the first of the output: a model with more outputs is rare, and
/// a record may have [`RECORD_MAX_BYTES`](crate::record::RECORD_MAX_BYTES).
pub const COLUMNS_MAX: usize = 16;
/// Longest name of a column that has statistics, in bytes; a longer one would crowd a record.
pub const COLUMN_NAME_MAX_BYTES: usize = 256;
/// Bins of all columns of one record together. A bin takes at most 28 bytes of JSON, so that the
/// statistics of a record stay under 40 KiB whatever the values are.
pub const RECORD_BINS_MAX: usize = 1_024;

/// Statistics of the numeric output columns of a shard or a run, in the order of the output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<ColumnScores>", into = "Vec<ColumnScores>")]
pub struct Scores {
    columns: Vec<ColumnScores>,
}

impl Scores {
    /// The columns.
    pub fn columns(&self) -> &[ColumnScores] {
        &self.columns
    }

    /// The statistics of one column.
    pub fn column(&self, name: &str) -> Option<&ColumnScores> {
        self.columns.iter().find(|column| column.name() == name)
    }

    /// Adds the statistics of other rows. A column that is new is appended, up to
    /// [`COLUMNS_MAX`] of them.
    pub fn merge(&mut self, other: &Scores) {
        for theirs in &other.columns {
            let ours = self.columns.iter_mut().find(|column| column.name() == theirs.name());
            if let Some(ours) = ours {
                ours.merge(theirs);
            } else if self.columns.len() < COLUMNS_MAX {
                self.columns.push(theirs.clone());
            }
        }
    }
}

impl From<Scores> for Vec<ColumnScores> {
    fn from(scores: Scores) -> Self {
        scores.columns
    }
}

impl TryFrom<Vec<ColumnScores>> for Scores {
    type Error = InvalidScores;

    fn try_from(columns: Vec<ColumnScores>) -> Result<Self, InvalidScores> {
        if columns.len() > COLUMNS_MAX {
            return Err(InvalidScores::TooManyColumns { count: columns.len() });
        }
        for (at, column) in columns.iter().enumerate() {
            if columns.iter().take(at).any(|earlier| earlier.name() == column.name()) {
                return Err(InvalidScores::ColumnTwice { column: column.name().to_owned() });
            }
        }
        Ok(Self { columns })
    }
}

#[cfg(test)]
mod tests;

//! Cutting rows into shards: pure arithmetic over row counts.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{SHARDS_MAX, Shard, Slice, Slices};

/// How a spec asks for its rows to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharding {
    /// Shards of this many rows; the last one of each run of rows may be shorter.
    Rows(u64),
    /// Exactly this many shards whose sizes differ by at most one row.
    Count(u32),
    /// One shard for each input file that has rows.
    File,
}

/// Why rows cannot be cut as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CutError {
    /// A size or a number of shards of 0.
    #[error("a shard needs at least one row and a run at least one shard")]
    Zero,
    /// More shards than rows: some would be empty.
    #[error("{shards} shards are more than the {rows} rows of the input; ask for at most {rows}")]
    MoreShardsThanRows {
        /// Shards asked for.
        shards: u32,
        /// Rows there are.
        rows: u64,
    },
    /// More shards than a run may have.
    #[error(
        "{shards} shards are more than the {SHARDS_MAX} a run may have; make each shard larger"
    )]
    TooMany {
        /// Shards that would be made.
        shards: u64,
    },
}

/// Cuts `file_rows` (rows of each input file, in order) into shards.
///
/// Every row is in exactly one slice of exactly one shard; slices are in row order and none
/// is empty (property-tested). No rows give no shards. With [`Sharding::Rows`] and
/// [`Sharding::Count`] a shard may span files, so that many small files do not become many
/// tiny shards.
///
/// # Errors
/// See [`CutError`].
pub fn cut(file_rows: &[u64], sharding: Sharding) -> Result<Vec<Shard>, CutError> {
    let total: u64 = file_rows.iter().sum();
    let sizes = match sharding {
        Sharding::Rows(0) | Sharding::Count(0) => return Err(CutError::Zero),
        _ if total == 0 => return Ok(Vec::new()),
        Sharding::Rows(rows) => {
            let shards = bounded(total.div_ceil(rows))?;
            Sizes { shards, base: rows, longer: 0 }
        }
        Sharding::Count(shards) if u64::from(shards) > total => {
            return Err(CutError::MoreShardsThanRows { shards, rows: total });
        }
        Sharding::Count(shards) => {
            let shards = bounded(shards.into())?;
            Sizes {
                shards,
                base: total / u64::from(shards),
                longer: (total % u64::from(shards)) as u32,
            }
        }
        Sharding::File => {
            let files = file_rows.iter().filter(|&&rows| rows > 0).count();
            bounded(files as u64)?;
            return Ok(one_per_file(file_rows));
        }
    };
    Ok(sizes.cut(file_rows))
}

fn bounded(shards: u64) -> Result<u32, CutError> {
    u32::try_from(shards)
        .ok()
        .filter(|&shards| shards <= SHARDS_MAX)
        .ok_or(CutError::TooMany { shards })
}

fn one_per_file(file_rows: &[u64]) -> Vec<Shard> {
    let files = file_rows.iter().enumerate().filter(|&(_, &rows)| rows > 0);
    files
        .map(|(input, &rows)| Shard {
            slices: Slices::from_iter([Slice { input: input as u32, start: 0, rows, seek: None }]),
        })
        .collect()
}

/// Shard sizes: `base` rows each, the first `longer` ones one row more.
struct Sizes {
    shards: u32,
    base: u64,
    longer: u32,
}

impl Sizes {
    fn cut(&self, file_rows: &[u64]) -> Vec<Shard> {
        let mut shards = Vec::with_capacity(self.shards as usize);
        let mut files = file_rows.iter().enumerate();
        let (mut input, mut start, mut left) = (0_u32, 0_u64, 0_u64);
        for shard in 0..self.shards {
            let mut want = self.base + u64::from(shard < self.longer);
            let mut slices = Slices::default();
            while want > 0 {
                if left == 0 {
                    let Some((next, &rows)) = files.next() else { break };
                    (input, start, left) = (next as u32, 0, rows);
                    continue;
                }
                let rows = want.min(left);
                slices.push(Slice { input, start, rows, seek: None });
                start += rows;
                left -= rows;
                want -= rows;
            }
            shards.push(Shard { slices });
        }
        shards
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sharding() -> impl Strategy<Value = Sharding> {
        prop_oneof![
            (1_u64..5_000).prop_map(Sharding::Rows),
            (1_u32..500).prop_map(Sharding::Count),
            Just(Sharding::File),
        ]
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_slice_in_order(
            files in prop::collection::vec(0_u64..3_000, 0..12),
            sharding in sharding(),
        ) {
            let total: u64 = files.iter().sum();
            let shards = match cut(&files, sharding) {
                Err(CutError::MoreShardsThanRows { shards, rows }) => {
                    prop_assert!(u64::from(shards) > rows && rows > 0);
                    return Ok(());
                }
                other => other.unwrap(),
            };
            let mut next = (0_u32, 0_u64);
            for shard in &shards {
                prop_assert!(shard.rows() > 0);
                for slice in &shard.slices {
                    prop_assert!(slice.rows > 0);
                    while next.0 < slice.input {
                        prop_assert_eq!(next.1, files[next.0 as usize], "rows skipped");
                        next = (next.0 + 1, 0);
                    }
                    prop_assert_eq!((slice.input, slice.start), next);
                    next.1 += slice.rows;
                }
            }
            prop_assert_eq!(shards.iter().map(Shard::rows).sum::<u64>(), total);
            if let (Sharding::Count(count), true) = (sharding, total > 0) {
                prop_assert_eq!(shards.len() as u32, count);
                let rows = shards.iter().map(Shard::rows);
                prop_assert!(rows.clone().max().unwrap() - rows.min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(cut(&[10], Sharding::Count(0)), Err(CutError::Zero));
        assert_eq!(cut(&[10], Sharding::Rows(0)), Err(CutError::Zero));
        assert_eq!(
            cut(&[10], Sharding::Count(11)),
            Err(CutError::MoreShardsThanRows { shards: 11, rows: 10 })
        );
        assert_eq!(
            cut(&[2_000_000], Sharding::Rows(1)),
            Err(CutError::TooMany { shards: 2_000_000 })
        );
        assert_eq!(cut(&[], Sharding::Count(3)), Ok(vec![]));
    }
}

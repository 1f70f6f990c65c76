//! Flags of `nightshift example`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_worker::front::dates::DatesArg;

/// Most rows of a large table: some 20 GB of Parquet.
const ROWS_MAX: u64 = 1_000_000_000;

#[derive(Debug, Args)]
pub(crate) struct ExampleArgs {
    /// The folder to write into; it is made if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,

    /// Also write a table of so many rows, and large.yaml, a spec without dates that scores it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=ROWS_MAX))]
    pub(crate) rows: Option<u64>,

    /// Name the days of data after these dates (today and yesterday are of UTC), the two weeks over
    /// and over; the flights stay those of January 2013 [default: 2013-01-01..2013-01-14]
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) dates: Option<DatesArg>,

    /// Replace files that differ from the example's
    #[arg(long)]
    pub(crate) force: bool,
}

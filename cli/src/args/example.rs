//! Flags of `nightshift example`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use nightshift_worker::front::dates::DatesArg;

/// Most rows of a large table: some 20 GB of Parquet.
const ROWS_MAX: u64 = 1_000_000_000;
/// Most recent days: ten years, the longest window of a backfill.
const RECENT_MAX: i64 = 3_653;

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

    /// Also lay the days out as the so many days before today (of UTC), for a backfill to find;
    /// only the folders have these dates, the flights in them stay those of January 2013
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=RECENT_MAX))]
    pub(crate) recent: Option<u16>,

    /// Replace files that differ from the example's
    #[arg(long)]
    pub(crate) force: bool,
}

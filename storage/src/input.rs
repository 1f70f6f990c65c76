//! Input files, as planning sees them: which there are, what is in them, which version.
//!
//! The way of a pattern into a plan: [`discover`] finds the files, [`inspect_all`] counts their
//! rows, names their columns and pins their versions ([`inspect()`] for one, [`unify`] makes them
//! agree), `core::plan::cut` makes shards of the row counts, and [`place_marks`] tells each shard
//! of a plain text file where to start reading. Whoever reads later checks the pin again
//! ([`verify_pin`], [`InputObject::check`]). [`Inputs`] opens what lies on volumes and in buckets.
//!
//! What a row of a text file is, is decided by [`scan`] alone, for counting and for reading.
//! Every function takes any bytes: memory is bounded by named limits, damage is a typed error.

mod discover;
mod error;
mod infer;
mod inspect;
mod object;
pub mod parquet;
mod remote;
pub mod scan;
mod stores;
mod text;
mod unify;

pub use discover::{FILES_MAX, Found, discover, discover_with};
pub use error::{InputError, describe};
pub use infer::{Evidence, SAMPLE_ROWS, parse_bool, parse_float, parse_int};
pub use inspect::{Inspected, inspect, inspect_all, inspect_all_with, inspect_with, plain_type};
pub use object::{InputObject, ObjectStream, verify_pin};
pub use stores::Inputs;
pub use text::{MARK_ROWS, place_marks};
pub use unify::unify;

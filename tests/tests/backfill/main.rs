//! `nightshift backfill` as its users start it: by the hour, by hand, ten at once, with Redis and
//! without, beside processes that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod buckets;
mod coordinator;
mod deciding;
mod gaps;
mod hours;
mod ledger;
mod scene;
mod together;

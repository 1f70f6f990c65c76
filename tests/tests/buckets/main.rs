//! Input from buckets and output to them: the promises of a volume, over a server of S3.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod counted;
mod keys;
mod many;
mod refused;
mod runs;
mod scene;
mod spoiled;
mod versions;

//! The launcher of Jobs and the election, against a Kubernetes API server in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod cluster;
mod election;
mod jobs;

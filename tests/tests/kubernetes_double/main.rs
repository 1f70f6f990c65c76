//! The Kubernetes double by itself: what the tests of launcher and cluster trust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod jobs;
mod kubectl;

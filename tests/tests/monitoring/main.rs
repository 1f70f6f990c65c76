//! What Prometheus sees: a real one, its `promtool`, the alert rules and the dashboard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod alerts;
mod dashboard;
mod ended;
mod pages;
mod queries;
mod truth;

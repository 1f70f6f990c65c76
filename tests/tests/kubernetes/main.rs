//! The whole of Nightshift in a cluster: real programs, whose pods a node of the double runs as
//! processes; and the same with a coordinator that starts processes itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod api;
mod coordinators;
mod deaths;
mod local;
mod obstacles;
mod runs;
mod stage;

//! The commands that ask a coordinator, against one that follows a script.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod cancel;
mod fixtures;
mod hostile;
mod judge;
mod manual;
mod refusals;
mod retry;
mod server;
mod status;
mod submit;
mod terminal;
mod waiting;
mod watching;
mod why;

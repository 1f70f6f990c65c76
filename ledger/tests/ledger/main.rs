//! The ledger: what it promises, on both implementations, and what its keeper makes of a real
//! Redis that is killed, wiped, replaced, full, read-only or somebody else's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod checker;
mod stage;

mod access;
mod conformance;
mod faults;
mod keeping;
mod races;
mod sequences;
mod size;
mod tls;

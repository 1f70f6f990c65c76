//! A worker and a coordinator that does as the test tells it: answers get lost, coordinators are
//! replaced, leases are taken away, signals come. Both talk real gRPC over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod coordinator;
mod directives;
mod away;
mod failures;
mod hand_in;
mod leases;
mod program;
mod prepared;
mod serving;
mod worker;

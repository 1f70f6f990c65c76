//! The pure domain of Nightshift: every decision, and nothing that touches the world.
//!
//! There is no clock here, no randomness, no input or output and no logging. The shells read
//! facts, call into this crate, and carry out what it says. In the order of the data:
//!
//! 1. [`ids`] names things; [`spec`] turns the user's YAML into values that need no more checks.
//! 2. [`decide`] says what to do about one date; [`plan`] cuts its rows into shards.
//! 3. [`lease`] says who may try which shard until when, and what a failed attempt means; [`slots`] how
//!    many workers that is worth.
//! 4. [`settle`] decides a conditional create, which makes a [`record`] happen once; [`scores`]
//!    is what a record says about the numbers in its output.
//! 5. [`conclusion`] turns plan and records into the verdict of the run, [`gates`] say whether
//!    readers may see it; [`report`] tells people.
//!
//! [`agreement`] compares two models. [`layout`] makes every path under the output root, [`document`] and [`root`] say what stored
//! documents have in common, and [`exit`] what exit codes mean.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod ids;
pub mod spec;
pub mod decide;
pub mod plan;
pub mod lease;
pub mod slots;
pub mod settle;
pub mod scores;
pub mod record;
pub mod gates;
pub mod conclusion;
pub mod report;
pub mod agreement;
pub mod layout;
pub mod document;
pub mod root;
pub mod exit;
pub mod describe;
#[cfg(test)]
mod rehearsal;

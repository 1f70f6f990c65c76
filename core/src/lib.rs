//! The pure domain of Nightshift: every decision, and nothing that touches the world.
//!
//! There is no clock here, no randomness, no input or output and no logging. The shells read
//! facts, call into this crate, and carry out what it says. In the order of the data:
//!
//! 1. [`ids`] names things; [`spec`] turns the user's YAML into values that need no more checks.
//!    [`place`] is where rows lie, [`model`] says which model, by the name that a user writes and by
//!    one that never moves.
//! 2. [`decide`] says what to do about one date, [`backfill`] which of many dates come next;
//!    [`plan`] cuts the rows of a date into shards.
//! 3. [`lease`] says who may try which shard until when, and what a failed attempt means; [`slots`] how
//!    many workers that is worth; [`footprint`] and [`demand`] what each takes of a machine, [`memory`] how batches stay within it.
//! 4. [`settle`] decides a conditional create, which makes a [`record`] happen once; [`scores`]
//!    is what a record says about the numbers in its output.
//! 5. [`conclusion`] turns plan and records into the verdict of the run, [`gates`] say whether
//!    readers may see it; [`report`] tells people; [`retention`] says which generations have had
//!    their time; [`accounts`] add all runs of a spec up.
//!
//! [`window`] is in which hours any of it may happen, [`quantity`] an amount as Kubernetes writes
//! it, [`agreement`] how far two models agree. [`layout`] makes every path under the output root,
//! [`document`] and [`root`] say what stored documents have in common, [`holder`] who alone creates them
//! where the store cannot tell who was first, [`exit`] what exit codes mean
//! and [`last_words`] what a program that ends leaves to be read. [`endpoint`] is an address on the
//! network that a spec may name, [`figures`] are numbers for people.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod ids;
pub mod model;
pub mod place;
pub mod spec;
pub mod decide;
pub mod backfill;
pub mod plan;
pub mod lease;
pub mod slots;
pub mod window;
pub mod quantity;
pub mod footprint;
pub mod demand;
pub mod memory;
pub mod settle;
pub mod scores;
pub mod record;
pub mod gates;
pub mod conclusion;
pub mod report;
pub mod agreement;
pub mod retention;
pub mod accounts;
pub mod layout;
pub mod document;
pub mod root;
pub mod holder;
pub mod exit;
pub mod last_words;
pub mod describe;
pub mod endpoint;
pub mod figures;
#[cfg(test)]
mod rehearsal;

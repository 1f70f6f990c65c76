//! The pure domain of Nightshift. (story to come)
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod document;
pub mod ids;
pub mod layout;
pub mod plan;
pub mod root;
pub mod settle;

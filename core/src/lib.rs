//! The pure domain of Nightshift. (story to come)
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod conclusion;
pub mod report;
pub mod decide;
pub mod exit;
pub mod ids;
pub mod lease;
pub mod plan;
pub mod record;
pub mod spec;

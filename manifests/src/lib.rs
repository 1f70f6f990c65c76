//! Kubernetes objects as values: the worker Job of a run, rendered YAML, and the rules that lint it.
//!
//! Everything here is pure: a spec or a plan goes in, JSON values or findings come out.
//!
//! [`lint`] reads any Job or CronJob and says what will hurt at night.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
pub mod lint;

//! Kubernetes objects as values: the worker Job of a run, rendered YAML, and the rules that lint it.
//!
//! Everything here is pure: a spec or a plan goes in, JSON values or findings come out.
//!
//! ```text
//! deploy/base/worker-job.yaml -> JobTemplate --+
//! spec.workers -> overlay::merge --------------+-> worker_job -> the Job of a run
//! ```
//! [`lint`] reads any Job or CronJob and says what will hurt at night.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod names;
pub mod template;
pub mod overlay;
pub mod worker_job;
pub mod yaml;
pub mod render;
pub mod lint;

pub use template::{JobTemplate, TemplateError};
pub use worker_job::{InvalidOrder, JobOrder, Owner, run_config_map, scale_patch, worker_job};

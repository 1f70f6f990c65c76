//! The sidecar: takes metrics from the worker beside it and serves them to Prometheus.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

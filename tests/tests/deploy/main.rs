//! What `deploy/` holds: manifests that are valid for every supported Kubernetes, that keep to
//! the rules of an installation, and images made of static programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its functions too"
)]

mod images;
mod policy;
mod quickstart;
mod recipes;
mod rendering;
mod schemas;

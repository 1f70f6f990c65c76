//! The launcher of Jobs and the election, against a Kubernetes API server in memory.

mod cluster;
mod election;
mod jobs;

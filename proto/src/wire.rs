//! Generated types, clients and servers, for the gRPC shells alone.
//!
//! `cargo run -p nightshift-proto --example generate` makes them from `proto/nightshift/v1`, and
//! `make proto-check` fails when they differ. Everything else uses the domain types of
//! [`leases`](crate::leases) and [`runs`](crate::runs).
#![allow(missing_docs, unreachable_pub, rustdoc::all, clippy::all)]

include!("gen/nightshift.v1.rs");

/// The compiled `.proto` files with their imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/nightshift.v1.descriptors.bin");

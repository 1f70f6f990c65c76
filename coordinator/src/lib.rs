//! The coordinator: plans runs, leases their shards, keeps the ledger.
#![deny(missing_docs)]

pub mod ledger;

//! The coordinator: plans runs, leases their shards, keeps the ledger.
//!
//! ```text
//! Start    → planning → opening → desk
//! Acquire  → desk → grant
//! Report   → record read from the store → desk → ledger
//! all decided → performing → final → ledger
//! ```
//!
//! 1. [`settings`], [`clock`], [`identity`]: what this process is told, and what it is.
//! 2. [`roots`]: the output roots that it serves, noted in its home.
//! 3. [`planning`] makes a plan of a spec; `opening` takes over the leases of a stored plan.
//! 4. [`desk`] holds every run that is under way: who may try which shard until when.
//! 5. [`coordinator`] is the shell around the desk: it waits, reads records, and performs what
//!    the desk wants done; it tells the [ledger](nightshift_ledger).
//!    [`ended`] adds up what pods leave that are gone.
//! 6. [`launch`] starts workers, as pods or processes; [`leader`] says which of two replicas works.
//! 7. [`refusal`] is why a call is refused; [`grpc`], [`http`] and [`metrics`] are what
//!    others see.
//!
//! Everything here can be lost at any moment: claims, plans, records and finals in the store are
//! the truth, and a new incarnation starts from them alone.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod settings;
pub mod clock;
pub mod identity;
pub mod roots;
pub mod planning;
mod opening;
pub mod desk;
pub mod refusal;
pub mod ended;
pub mod coordinator;
pub mod launch;
pub mod leader;
pub mod grpc;
pub mod metrics;
pub mod http;

//! Truth in the store: what a run reads, what it decides once, and what people see.
//!
//! In the order in which a run meets them:
//!
//! 1. [`location`]: what a user writes in `uri:` becomes a path, or a prefix of a bucket.
//! 2. [`model`]: the model is found, hashed, and fetched where it is not on a volume.
//! 3. [`input`]: the input files are found, counted and pinned; [`planning`] makes the plan.
//! 4. [`root`]: the output root is opened, and probed: only a [`Probed`] root is written to.
//!    [`deciding`]: where a store cannot tell who was first, one process does.
//! 5. [`documents`]: claims, plans, records and finals, each created once and settled;
//!    [`partition`], [`standing`] and [`past`] read them as facts, [`opening`] opens a run from them.
//! 6. [`staged`]: an attempt writes its files, and seals them.
//! 7. [`publish`]: with the permit that its record gives, they get their visible names.
//! 8. [`concluding`]: when every shard is decided, the final and the report are made; with a gate,
//!    files become visible after it, or after a person's approval ([`releasing`]).
//!    [`replacing`]: reports go where the spec wants them.
//! 9. [`verifying`] judges what is there; [`collecting`] removes what has had its time.
//!
//! Underneath, `settling` performs the decisions of [`nightshift_core::settle`], `volume` makes
//! conditional creates on a file system and `bucket` in an object store, and [`sync`] makes things
//! durable. Only
//! [`collecting`] deletes what a run has made, after it has read a verdict.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod location;
pub mod model;
pub mod input;
pub mod planning;
pub mod root;
pub mod deciding;
pub mod documents;
pub mod partition;
pub mod standing;
pub mod past;
pub mod opening;
pub mod staged;
pub mod publish;
pub mod concluding;
pub mod releasing;
pub mod replacing;
pub mod collecting;
pub mod verifying;
pub mod error;
mod bucket;
mod endpoint;
mod exit;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
mod probe;
#[cfg(test)]
mod rehearsal;
mod settling;
pub mod sync;
mod volume;

pub use deciding::Deciding;
pub use documents::{Committed, Listed, Settled};
pub use error::{Class, StoreError};
pub use model::{ModelError, Models, Resolved};
pub use publish::{Publication, VisibleState};
pub use root::{OutputRoot, Probed, Reader};
pub use staged::{Sealed, SealedFile, StagedFile, StagedObject, Staging};
pub use sync::{Durability, SyncCounters};

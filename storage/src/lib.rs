//! The output root of a run, over an object store: what is decided once stays decided.
//!
//! In the order in which a run meets them:
//!
//! 1. [`location`]: what a user writes in `uri:` becomes a path.
//! 2. [`model`]: the model is found and hashed.
//! 3. [`root`]: the output root is opened, and probed: only a [`Probed`] root is written to.
//! 4. [`documents`]: claims, plans, records and finals, each created once and settled.
//! 5. [`staged`]: an attempt writes its files, and seals them.
//! 6. [`publish`]: with the permit that its record gives, they get their visible names.
//!
//! Underneath, `settling` performs the decisions of [`nightshift_core::settle`], `volume` makes
//! conditional creates on a file system, and [`sync`] makes things durable. Nothing here
//! deletes what a run has made; that is the collector's, after it has read a verdict.
#![deny(missing_docs)]

pub mod documents;
pub mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
pub mod location;
pub mod model;
mod probe;
pub mod publish;
pub mod root;
mod settling;
pub mod staged;
pub mod sync;
mod volume;

pub use documents::{Committed, Listed, Settled};
pub use error::{Class, StoreError};
pub use model::{ModelError, resolve_model};
pub use publish::{Publication, VisibleState};
pub use root::{OutputRoot, Probed, Reader};
pub use staged::{Sealed, SealedFile, StagedFile, StagedObject, Staging};
pub use sync::{Durability, SyncCounters};

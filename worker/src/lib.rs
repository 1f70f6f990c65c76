//! The worker: the data's path through one process, from a shard to its record.
//!
//! ```text
//! source → read → engine → write → commit
//! lease    rows   scores   staged  sealed, recorded, published
//! ```
//!
//! In the order of the data:
//!
//! 1. [`source`] says which shard comes next: leases of this process or of a coordinator, or one
//!    fixed index.
//! 2. [`read`] yields the shard's rows in batches; a row that cannot be read is a reject.
//! 3. [`engine`] scores batches; [`reject`] names why a row could not be scored.
//! 4. [`mod@write`] encodes scored rows and rejects into staged files.
//! 5. [`commit`] makes an attempt the verdict of its shard: the record is the commit point.
//!
//! [`score`] is one attempt through steps 2 to 4, [`pool`] the threads that do it for shard
//! after shard, at a [`pace`] if need be and within its [`memory`], [`drain`] how they end in time, [`forced`] how they fail
//! in a rehearsal, [`session`] a whole run in one process from spec to report, [`weigh`] what it will
//! take of memory, [`member`] a worker of a coordinator, and [`single`] the path of one file to
//! another, without a run. [`comparing`] puts the same rows through two models,
//! [`replaying`] computes a committed shard again and compares. [`hand_in`] commits what a program in
//! another language has scored. [`identity`] is who this process is, and [`front`] what its command
//! line shares with `nightshift`.
//!
//! A worker decides nothing that outlives it: it computes, and the first record of a shard
//! counts, whoever wrote it.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod source;
pub mod read;
pub mod engine;
pub mod reject;
pub mod write;
pub mod score;
pub mod commit;
pub mod pool;
pub mod pace;
pub mod memory;
pub mod drain;
pub mod forced;
pub mod session;
pub mod weigh;
pub mod member;
pub mod single;
pub mod comparing;
pub mod replaying;
pub mod hand_in;
pub mod identity;
pub mod front;

pub use nightshift_core::describe::describe;

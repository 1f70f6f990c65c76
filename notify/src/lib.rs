//! Telling others of a run: report files in a folder, a message to a webhook, OpenLineage events.
//!
//! [`Teller`] is what the shells have: it is told of a run that begins or has its verdict, and
//! sees to the rest in tasks of its own, so that no run waits for a service that is away.
//! Whether to tell is decided by [`nightshift_core::report::telling`], from marks in the output
//! root that `marks` reads and makes; what is told is made by [`nightshift_core::report`], from
//! plan, final and [`records`]; `sender` knows what goes where, `files` and `http` bring it there.
//!
//! Nothing here is truth. A failure is a warning in the log, and whoever looks at the run next
//! tries again.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod teller;
mod marks;
mod sender;
pub mod records;
mod files;
mod http;
mod error;

pub use error::NotTold;
pub use teller::{Teller, Urgency};

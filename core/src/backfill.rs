//! Backfill: which dates a tick is about, and what it does about each of them.
//!
//! A tick is one call of `nightshift backfill`, by cron, a CronJob or a person. It may be made
//! at any time, from any number of places, with a ledger that is full, empty, wrong or away, and
//! does exactly the next missing thing. In the order of the data:
//!
//! 1. [`window`]: the dates that it looks at.
//! 2. [`facts`]: what ledger, store and input say about one date; [`life`]: whether whoever holds
//!    an unfinished run is still at work.
//! 3. [`judge`](mod@judge): from the facts of one date to an [`Instruction`], or to the next
//!    question. It asks for no fact that the answer does not depend on: a date that the ledger
//!    calls done costs no look at the store.
//! 4. [`tick`]: from many dates to those that are done now.
//! 5. [`state`]: how a date stands, for people; [`forecast`]: what later ticks would do, and how
//!    long that takes.
//!
//! A missing or negative answer of the ledger never starts a run by itself: only the store can
//! say that nothing is there. And nothing here makes a result wrong: a date that two processes
//! work on at once wastes work, and its records decide.

pub mod window;
pub mod facts;
pub mod life;
pub mod instruction;
pub mod judge;
pub mod tick;
pub mod state;
pub mod forecast;

pub use facts::{Concluded, Index, Indexed, Input, Known, Open, Store, Stored};
pub use forecast::Pace;
pub use instruction::{Dead, Instruction, Why, Work};
pub use judge::{Judgement, Need, Rules, judge};
pub use state::{DateState, Evidence};
pub use tick::{Decided, Step, Tick, Turn};

/// Generations that a backfill starts by itself after one that ended partial or failed. Two are
/// enough for what goes away by itself, and few enough that a date which cannot succeed does not
/// take the place of one that can.
pub const RETRIES: u32 = 2;

/// Dates that one tick looks at, at most: ten years.
pub const DATES_MAX: usize = 3_653;

#[cfg(test)]
mod tests;

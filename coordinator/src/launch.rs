//! Starting the workers of runs: who wants them, who starts them, what became of them.
//!
//! ```text
//! desk → reconciler → Launcher::converge → a Job, or processes
//! pods, Jobs, Events → Sighting → reconciler → desk
//! ```
//!
//! Everything is level-triggered: the [`reconciler`] says again and again how a run stands, and a
//! [`Launcher`] compares that with what is there. What was missed, forgotten or undone in between
//! is put right the next time. Workers that a launcher has not started are as welcome as others,
//! and no error in here keeps anybody from leasing.
//!
//! There are two launchers: [`kube`] makes an Indexed Job for each run, [`local`] starts
//! processes.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use nightshift_core::ids::RunId;
use nightshift_core::record::FailureClass;
use nightshift_core::slots::Load;
use std::sync::Arc;

use crate::desk::RunFacts;

mod backoff;
mod error;
pub mod kube;
pub mod local;
pub mod reconciler;
mod tally;
mod exit;

pub use error::LaunchError;
pub use tally::LaunchTally;

/// Reason of a worker that used more memory than its limit.
pub const OOM_KILLED: &str = "oom_killed";
/// Sightings that wait to be taken in; past that, watching waits.
pub const SIGHTINGS_MAX: usize = 1_024;

/// Rows of the batches that a process of a run was granted work with, as far as that is known: by
/// the run and the process, as its worker's name begins.
#[derive(Clone)]
pub struct Batches(Arc<BatchOf>);

type BatchOf = dyn Fn(&RunId, &str) -> Option<NonZeroU32> + Send + Sync;

/// A run that is to have workers.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What it is.
    pub facts: Arc<RunFacts>,
    /// Workers that the spec allows.
    pub parallelism: u32,
    /// Shards without a record.
    pub undecided: u64,
    /// Whether no shard may be begun at this time of day.
    pub closed: bool,
    /// The processes that hold its leases.
    pub busy: Vec<String>,
}

/// What became of a run that needs no workers any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing is left.
    None,
    /// Something is; look again after this long.
    LookAgain(Duration),
}

/// Something that a launcher has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// A process of a run has ended, or is gone.
    WorkerGone {
        /// The run.
        run: RunId,
        /// The process, as its worker's name begins.
        host: String,
        /// What that means for its attempts.
        class: FailureClass,
        /// Short name.
        reason: String,
        /// For people.
        message: String,
    },
    /// How a run's workers are: what is the matter, or nothing.
    Noticed {
        /// The run.
        run: RunId,
        /// For people; empty if nothing is the matter.
        text: String,
    },
    /// A run's workers have ended and there will be no others.
    CannotGoOn {
        /// The run.
        run: RunId,
        /// Kind of failure.
        class: FailureClass,
        /// Short name.
        reason: String,
        /// For people.
        message: String,
    },
    /// Something of a run has changed: compare soon.
    Changed {
        /// The run.
        run: RunId,
    },
}

/// Whoever starts workers. Each call is a fresh comparison of what is wanted with what is there;
/// it may be repeated at any time, and may fail at any point.
#[async_trait]
pub trait Launcher: fmt::Debug + Send + Sync {
    /// Brings a run's workers nearer to what is wanted; gives the slots that there are then.
    ///
    /// # Errors
    /// What stands against it; the caller tries again later.
    async fn converge(&self, wanted: &Wanted) -> Result<u32, LaunchError>;

    /// The run needs no workers any more, because it has its final: tidies up what is left.
    ///
    /// # Errors
    /// What stands against it; the caller tries again later.
    async fn over(&self, run: &RunId) -> Result<Leftover, LaunchError>;

    /// The runs of which something is there, whoever has made it.
    ///
    /// # Errors
    /// If that cannot be found out; the caller tries again later.
    async fn present(&self) -> Result<Vec<RunId>, LaunchError>;

    /// The coordinator ends: ends what cannot live without it.
    async fn end(&self);
}

// === impl Batches ===

impl Batches {
    /// Those that `of` knows.
    pub fn known_by(
        of: impl Fn(&RunId, &str) -> Option<NonZeroU32> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(of))
    }

    fn of(&self, run: &RunId, host: &str) -> Option<NonZeroU32> {
        (self.0)(run, host)
    }
}

impl Default for Batches {
    /// Nothing was learned.
    fn default() -> Self {
        Self::known_by(|_, _| None)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batches")
    }
}

// === impl Wanted ===

impl Wanted {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.facts.outline.run
    }

    /// Whether its workers are of no use for now: it is closed, and none of them holds a lease.
    pub fn rests(&self) -> bool {
        self.closed && self.busy.is_empty()
    }

    /// What there is to do, where `slot_of` says which slot a process has.
    pub fn load(&self, slot_of: impl Fn(&str) -> Option<u32>) -> Load {
        let busy = self.busy.iter().filter_map(|host| slot_of(host)).max();
        Load {
            parallelism: self.parallelism,
            undecided: self.undecided,
            busy: busy.map_or(0, |slot| slot.saturating_add(1)),
        }
    }
}

// === impl Sighting ===

impl Sighting {
    /// The run that it is about.
    pub fn run(&self) -> &RunId {
        match self {
            Self::WorkerGone { run, .. }
            | Self::Noticed { run, .. }
            | Self::CannotGoOn { run, .. }
            | Self::Changed { run } => run,
        }
    }
}

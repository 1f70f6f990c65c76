//! One try to read from a store, and how often a store is asked.

use std::time::Duration;

use super::ModelError;
use crate::error::Cause;

/// How often and how long a store is asked before a run gives up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries in a row that bring nothing.
    pub tries: u32,
    /// Pause after the first failure; it doubles with each further one.
    pub pause: Duration,
    /// Longest pause, whatever a store asks for.
    pub pause_max: Duration,
}

impl Default for Patience {
    /// About half a minute altogether: a store that is away for longer is reported, since a person
    /// or a scheduler knows better what to do.
    fn default() -> Self {
        let (pause, pause_max) = (Duration::from_millis(500), Duration::from_secs(15));
        Self { tries: 6, pause, pause_max }
    }
}

/// What is asked for, for messages.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// What, as in `hf://org/name`.
    pub(super) what: String,
    /// Which right a refusal says is missing, and where it is given.
    pub(super) permission: &'static str,
    /// What else to look at when there is nothing, beginning with `, `; or empty.
    pub(super) hint: String,
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The store refuses.
    Denied { status: u16 },
    /// There is nothing.
    Missing,
    /// Another try may help, after the pause that the store asks for.
    Again { cause: Cause, after: Option<Duration> },
    /// No try can help.
    Useless { problem: String },
}

impl Trouble {
    pub(super) fn again(cause: impl Into<Cause>) -> Self {
        Self::Again { cause: cause.into(), after: None }
    }

    pub(super) fn useless(problem: impl Into<String>) -> Self {
        Self::Useless { problem: problem.into() }
    }
}

/// The tries for one thing.
#[derive(Debug)]
pub(super) struct Tries {
    patience: Patience,
    failed: u32,
}

impl Patience {
    /// Begins to ask for something.
    pub(super) fn begin(self) -> Tries {
        Tries { patience: self, failed: 0 }
    }
}

impl Tries {
    /// Something came: what failed before does not count any more.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// A try failed. Returns when it is time for the next one.
    pub(super) async fn after(
        &mut self,
        trouble: Trouble,
        asked: &Asked,
    ) -> Result<(), ModelError> {
        let what = asked.what.clone();
        let (cause, wanted) = match trouble {
            Trouble::Denied { status } => {
                return Err(ModelError::Denied { what, status, permission: asked.permission });
            }
            Trouble::Missing => {
                return Err(ModelError::NotFound { what, hint: asked.hint.clone() });
            }
            Trouble::Useless { problem } => return Err(ModelError::Answer { what, problem }),
            Trouble::Again { cause, after } => (cause, after),
        };
        self.failed += 1;
        if self.failed >= self.patience.tries {
            return Err(ModelError::Unavailable { what, tries: self.failed, source: cause });
        }
        let doubled = self.patience.pause.saturating_mul(1 << (self.failed - 1).min(16));
        let pause = wanted.unwrap_or(doubled).min(self.patience.pause_max);
        tracing::warn!(what, failed = self.failed, reason = %cause, "asking the model store again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

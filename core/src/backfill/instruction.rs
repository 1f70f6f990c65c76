//! What is to be done about one date, and the words for it.

use std::fmt;

use crate::conclusion::FinalState;
use crate::decide::Decision;
use crate::ids::{Digest, Generation};

/// What to do about one date. Shells carry it out as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// It is done; nothing to do.
    Skip {
        /// The generation that succeeded.
        generation: Generation,
        /// Whether the store said so, and the ledger did not: tell the ledger.
        write_back: bool,
    },
    /// It is done and stale, but there is nothing to do it again with.
    Keep {
        /// The generation that succeeded.
        generation: Generation,
    },
    /// Claim a generation and execute it.
    Start {
        /// The generation.
        generation: Generation,
        /// The generation whose committed shards are taken over.
        inherit: Option<Generation>,
        /// Which retry this is, from 1; 0 if it is none.
        retry: u32,
        /// The dead run that it takes the place of.
        instead_of: Option<Dead>,
        /// Why.
        why: Why,
    },
    /// Go on with a run whose holder is dead.
    Join {
        /// The run.
        run: Dead,
        /// Who held it.
        holder: String,
    },
    /// Somebody else works on it: leave it to them.
    Leave {
        /// The generation.
        generation: Generation,
        /// Who.
        holder: String,
    },
    /// There is no input; look again next time.
    NoInput,
    /// The input cannot be planned; look again next time.
    Unreadable(String),
    /// It ended badly too often; a person has to look.
    GiveUp {
        /// The newest generation.
        generation: Generation,
        /// How it ended.
        state: FinalState,
    },
    /// A gate withholds it from readers; a person decides, or has rejected it.
    Held {
        /// The generation that succeeded.
        generation: Generation,
        /// Whether it was rejected.
        rejected: bool,
    },
    /// Nobody can say how it stands; start nothing.
    Unavailable(String),
}

/// A run whose holder is dead, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead {
    /// The generation.
    pub generation: Generation,
    /// Its newest epoch. Whoever opens the next one has the run, and no other.
    pub epoch: u64,
}

/// A run that one process is to execute, alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Claim this generation; whoever else claims it first does the work.
    Start {
        /// The generation.
        generation: Generation,
        /// The generation whose committed shards are taken over.
        inherit: Option<Generation>,
        /// Which retry this is; for the claim.
        retry: u32,
        /// The run to take first, so that nobody goes on with it meanwhile.
        instead_of: Option<Dead>,
    },
    /// Take this run; whoever else takes it first does the work.
    Join(Dead),
}

/// Why a generation is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none.
    Missing,
    /// The one before ended so.
    Retry {
        /// That generation.
        of: Generation,
        /// Its verdict.
        state: FinalState,
    },
    /// The one that succeeded used another model.
    ModelChanged {
        /// Its model.
        from: Digest,
        /// Today's.
        to: Digest,
    },
    /// The input, the model or the settings are others than those of the one that succeeded.
    AnyChanged,
    /// The one before was left unfinished, with a model that is no longer there.
    Abandoned {
        /// That generation.
        of: Generation,
    },
    /// Somebody asked for it.
    Asked,
}

/// State of a date that is done and current.
pub const DONE: &str = "done";
/// State of a date without input.
pub const NO_INPUT: &str = "no input";
/// State of a date whose input cannot be planned.
pub const UNREADABLE: &str = "unreadable";
/// State of a date about which nobody can tell.
pub const UNKNOWN: &str = "unknown";

impl Instruction {
    /// The state of the date, as one or two words.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Skip { .. } => DONE,
            Self::Keep { .. } => "stale",
            Self::Start { why, .. } => why.state(),
            Self::Join { .. } => "unfinished",
            Self::Leave { .. } => "running",
            Self::NoInput => NO_INPUT,
            Self::Unreadable(_) => UNREADABLE,
            Self::GiveUp { state, .. } => state.as_str(),
            Self::Held { rejected: false, .. } => "withheld",
            Self::Held { rejected: true, .. } => "rejected",
            Self::Unavailable(_) => UNKNOWN,
        }
    }

    /// What is done about it, as one word.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Start { why: Why::Retry { .. }, .. } => "retry",
            Self::Start { .. } => "run",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            _ => "skip",
        }
    }

    /// The generation that it is about, if there is one.
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Skip { generation, .. }
            | Self::Keep { generation }
            | Self::Start { generation, .. }
            | Self::Leave { generation, .. }
            | Self::GiveUp { generation, .. }
            | Self::Held { generation, .. } => Some(*generation),
            Self::Join { run, .. } => Some(run.generation),
            Self::NoInput | Self::Unreadable(_) | Self::Unavailable(_) => None,
        }
    }

    /// The work that this process has to do; none if it has none.
    pub fn work(&self) -> Option<Work> {
        match *self {
            Self::Start { generation, inherit, retry, instead_of, .. } => {
                Some(Work::Start { generation, inherit, retry, instead_of })
            }
            Self::Join { run, .. } => Some(Work::Join(run)),
            _ => None,
        }
    }

    /// Whether the date takes one of the places that a tick has: this tick works on it, or
    /// somebody else does.
    pub fn is_work(&self) -> bool {
        matches!(self, Self::Start { .. } | Self::Join { .. } | Self::Leave { .. })
    }

    /// Whether something remains to be done for the date before it is current.
    pub fn is_pending(&self) -> bool {
        !matches!(self, Self::Skip { .. } | Self::Keep { .. })
    }

    /// Whether the ledger has to be told what the store says.
    pub fn writes_back(&self) -> bool {
        matches!(self, Self::Skip { write_back: true, .. })
    }
}

impl Work {
    /// What whoever opens the run is told.
    pub fn decision(self) -> Decision {
        match self {
            Self::Start { generation, inherit, .. } => Decision::Start { generation, inherit },
            Self::Join(run) => Decision::Join(run.generation),
        }
    }

    /// The generation that is executed.
    pub fn generation(self) -> Generation {
        match self {
            Self::Start { generation, .. } => generation,
            Self::Join(run) => run.generation,
        }
    }

    /// Which retry it is; 0 if it is none, and for a run that has its claim.
    pub fn retry(self) -> u32 {
        match self {
            Self::Start { retry, .. } => retry,
            Self::Join(_) => 0,
        }
    }
}

/// The reason, as people read it.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skip { generation, .. } => write!(f, "{generation} has succeeded"),
            Self::Keep { generation } => {
                write!(f, "{generation} succeeded and stays: its input is gone")
            }
            Self::Start { why, .. } => why.fmt(f),
            Self::Join { run, holder } => {
                write!(f, "{} was left unfinished by {holder}", run.generation)
            }
            Self::Leave { generation, holder } => write!(f, "{holder} works on {generation}"),
            Self::NoInput => f.write_str("there is no input; looked for again next time"),
            Self::Unreadable(why) => f.write_str(why),
            Self::GiveUp { generation, state } => {
                let state = state.as_str();
                write!(f, "{generation} ended {state}, no retries left")
            }
            Self::Held { generation, rejected: false } => {
                write!(f, "a gate withholds {generation}; `nightshift approve` or `reject` it")
            }
            Self::Held { generation, rejected: true } => {
                write!(f, "{generation} was rejected; only --force runs it again")
            }
            Self::Unavailable(why) => write!(f, "neither ledger nor store can tell: {why}"),
        }
    }
}

impl Why {
    fn state(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Retry { state, .. } => state.as_str(),
            Self::ModelChanged { .. } | Self::AnyChanged => "stale",
            Self::Abandoned { .. } => "unfinished",
            Self::Asked => "forced",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("never run"),
            Self::Retry { of, state } => write!(f, "{of} ended {}", state.as_str()),
            Self::ModelChanged { from, to } => {
                write!(f, "the model changed from {} to {}", from.short(), to.short())
            }
            Self::AnyChanged => f.write_str("input, model or settings changed"),
            Self::Abandoned { of } => {
                write!(f, "{of} was left unfinished, and its model is gone")
            }
            Self::Asked => f.write_str("asked for by force"),
        }
    }
}

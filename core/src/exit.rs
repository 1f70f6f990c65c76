//! Exit codes, one meaning each (after BSD sysexits.h).

/// How a command ended, for scripts and for `podFailurePolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done and confirmed.
    Done = 0,
    /// `lint` found errors in what it looked at; nothing else ends so.
    Found = 1,
    /// The command line is wrong.
    Usage = 64,
    /// Data beyond the error budget, or bytes that cannot be read.
    Data = 65,
    /// Input is missing.
    NoInput = 66,
    /// Coordinator, store or Redis is unavailable past the bound.
    Unavailable = 69,
    /// A bug.
    Software = 70,
    /// The output cannot be created.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Temporary: drained or interrupted, try again.
    Temporary = 75,
    /// Permission denied.
    Permission = 77,
    /// Spec, model or configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// A short name, as the reason in a termination message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "completed",
            Self::Found => "found",
            Self::Usage => "usage",
            Self::Data => "data",
            Self::NoInput => "no_input",
            Self::Unavailable => "unavailable",
            Self::Software => "bug",
            Self::CannotCreate => "cannot_create",
            Self::Io => "io",
            Self::Temporary => "drained",
            Self::Permission => "permission",
            Self::Config => "config",
        }
    }

    /// One line for `--help` and the documentation.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done and confirmed",
            Self::Found => "lint found errors",
            Self::Usage => "the command line is wrong",
            Self::Data => "data beyond the error budget, or unreadable",
            Self::NoInput => "input is missing",
            Self::Unavailable => "the store is unavailable past the bound",
            Self::Software => "a bug; please report it",
            Self::CannotCreate => "the output cannot be created",
            Self::Io => "reading or writing failed",
            Self::Temporary => "temporary: drained or interrupted, run it again",
            Self::Permission => "permission denied",
            Self::Config => "spec, model or configuration is wrong",
        }
    }

    /// Every code with which work can end, in order; [`Found`](Self::Found) is no work.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Software,
        Self::CannotCreate,
        Self::Io,
        Self::Temporary,
        Self::Permission,
        Self::Config,
    ];
}

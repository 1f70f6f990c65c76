//! What a ledger refuses, in words for people and for metric labels.

use std::fmt;

use nightshift_core::root::RootId;
use thiserror::Error;

/// Why an operation on a ledger failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// The index cannot be used now. Runs go on; whoever needs an answer asks the store.
    #[error("the ledger is unavailable ({reason}): {why}")]
    Unavailable {
        /// The kind of failure.
        reason: Reason,
        /// What was met and what to do, without any secret.
        why: String,
    },
    /// The ledger is not the one that the writer left; nothing was written.
    #[error("the ledger is not as this process left it: {0}")]
    Lost(Lost),
    /// Something under the name cannot be understood.
    #[error("`{key}` in the ledger holds something else than Nightshift writes: {found}")]
    Damaged {
        /// The key.
        key: String,
        /// What is there, in short.
        found: String,
    },
}

/// How a ledger differs from the one that a writer left.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Lost {
    /// It is empty, or somebody has begun to rebuild it.
    #[error("it is empty: it is new, or the server was wiped or replaced")]
    Wiped,
    /// It indexes another output root.
    #[error(
        "it indexes output {found}, not {wanted}; give each deployment a Redis database or spec name of its own"
    )]
    Foreign {
        /// The root that it indexes.
        found: RootId,
        /// The root that is served.
        wanted: RootId,
    },
    /// It has an older state: a dump was loaded, or the last writes were lost.
    #[error("this process left it at write {}, it is at write {}", show(*expected), show(*found))]
    Stale {
        /// The writer's sequence there.
        found: Option<u64>,
        /// The sequence that it should have.
        expected: Option<u64>,
    },
    /// It was written by another version.
    #[error("it is of version {}", show(*found))]
    Version {
        /// The version there.
        found: Option<u32>,
    },
}

/// Why a ledger is behind, as a short stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A root is served and not compared yet.
    Starting,
    /// Nobody listens at the address.
    Refused,
    /// The host name has no address.
    Unresolved,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Disconnected,
    /// The TLS handshake failed.
    Tls,
    /// User or password are wrong or missing.
    Auth,
    /// The user may not do this.
    NoPermission,
    /// A replica that takes no writes.
    ReadOnly,
    /// The server is reading its dump.
    Loading,
    /// The server refuses writes because it cannot persist them.
    Misconfigured,
    /// The server is out of memory.
    OutOfMemory,
    /// A replica that has lost its master.
    MasterDown,
    /// The server is busy with a script.
    Busy,
    /// A cluster node that has not the key.
    Cluster,
    /// Other writers were faster too often.
    Contended,
    /// Any other answer of the server.
    Server,
    /// More was reported than the queue holds.
    Overflow,
    /// The ledger was empty.
    Wiped,
    /// The ledger was another output's.
    Foreign,
    /// The ledger had an older state.
    Stale,
    /// The ledger was of another version.
    Version,
    /// Something in the ledger could not be understood.
    Damaged,
    /// The output store did not answer.
    Store,
}

impl Reason {
    /// All of them, in order.
    pub const ALL: [Self; 24] = [
        Self::Starting,
        Self::Refused,
        Self::Unresolved,
        Self::Timeout,
        Self::Disconnected,
        Self::Tls,
        Self::Auth,
        Self::NoPermission,
        Self::ReadOnly,
        Self::Loading,
        Self::Misconfigured,
        Self::OutOfMemory,
        Self::MasterDown,
        Self::Busy,
        Self::Cluster,
        Self::Contended,
        Self::Server,
        Self::Overflow,
        Self::Wiped,
        Self::Foreign,
        Self::Stale,
        Self::Version,
        Self::Damaged,
        Self::Store,
    ];

    /// The word for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Refused => "refused",
            Self::Unresolved => "unresolved",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::NoPermission => "no_permission",
            Self::ReadOnly => "read_only",
            Self::Loading => "loading",
            Self::Misconfigured => "misconfigured",
            Self::OutOfMemory => "out_of_memory",
            Self::MasterDown => "master_down",
            Self::Busy => "busy",
            Self::Cluster => "cluster",
            Self::Contended => "contended",
            Self::Server => "server",
            Self::Overflow => "overflow",
            Self::Wiped => "wiped",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Version => "version",
            Self::Damaged => "damaged",
            Self::Store => "store",
        }
    }

    /// Whether the failure is the server's as a whole, so that other names would meet it too.
    pub fn is_of_the_server(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Unresolved
                | Self::Timeout
                | Self::Disconnected
                | Self::Tls
                | Self::Auth
                | Self::ReadOnly
                | Self::Loading
                | Self::Misconfigured
                | Self::OutOfMemory
                | Self::MasterDown
                | Self::Busy
                | Self::Cluster
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LedgerError {
    /// The kind of failure, as a short stable word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable { reason, .. } => *reason,
            Self::Lost(Lost::Wiped) => Reason::Wiped,
            Self::Lost(Lost::Foreign { .. }) => Reason::Foreign,
            Self::Lost(Lost::Stale { .. }) => Reason::Stale,
            Self::Lost(Lost::Version { .. }) => Reason::Version,
            Self::Damaged { .. } => Reason::Damaged,
        }
    }
}

fn show<T: fmt::Display>(number: Option<T>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

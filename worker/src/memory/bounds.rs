//! The limits that a process has, and how much of each is in use.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nightshift_core::memory::Room;
use rustix::process::{Resource, getrlimit};

use super::beside::Beside;
use super::cgroups::{self, Group};

/// Sizes of this process, a line each, in kibibytes (proc(5)).
const STATUS: &str = "/proc/self/status";
/// All of its address space.
const ALL: &str = "VmSize:";
/// What is resident of it.
const RESIDENT: &str = "VmRSS:";

/// Bytes of it that are read: the sizes stand before them.
const STATUS_MAX_BYTES: usize = 4 << 10;

/// One limit on the memory of this process.
#[derive(Debug)]
pub enum Bound {
    /// A control group that it is in.
    Group(Group),
    /// Its address space (`ulimit -v`).
    AddressSpace {
        /// The limit in bytes.
        limit_bytes: u64,
        /// Where its size stands.
        status: File,
    },
    /// A limit that somebody named, such as Kubernetes by the downward API.
    Named {
        /// The limit in bytes.
        limit_bytes: u64,
        /// Where its size stands.
        status: File,
    },
    /// The pod's control group, as the sidecar sees it.
    Pod(Arc<Beside>),
}

/// What limits this process by itself: control groups up to the root, and the address space. What
/// cannot be read limits nothing.
pub fn of_this_process() -> Vec<Bound> {
    let mut bounds: Vec<Bound> = cgroups::of_this_process().into_iter().map(Bound::Group).collect();
    let limit = getrlimit(Resource::As).current;
    if let (Some(limit_bytes), Ok(status)) = (limit, File::open(STATUS)) {
        bounds.push(Bound::AddressSpace { limit_bytes, status });
    }
    bounds
}

impl Bound {
    /// A limit of `limit_bytes` on what is resident of this process; none if that cannot be known.
    pub fn named(limit_bytes: u64) -> Option<Self> {
        Some(Self::Named { limit_bytes, status: File::open(STATUS).ok()? })
    }

    /// Limit and use at this moment; none where there is no limit, or none that can be read.
    pub fn room(&self) -> Option<Room> {
        match self {
            Self::Group(group) => group.room(),
            Self::AddressSpace { limit_bytes, status } => {
                Some(Room { limit_bytes: *limit_bytes, used_bytes: size(status, ALL)? })
            }
            Self::Named { limit_bytes, status } => {
                Some(Room { limit_bytes: *limit_bytes, used_bytes: size(status, RESIDENT)? })
            }
            Self::Pod(beside) => beside.room(),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "control group {}", group.folder().display()),
            Self::AddressSpace { .. } => f.write_str("address space"),
            Self::Named { .. } => f.write_str("NIGHTSHIFT_MEMORY_LIMIT"),
            Self::Pod(_) => f.write_str("pod, by its sidecar"),
        }
    }
}

/// The size behind `name`, in bytes.
fn size(status: &File, name: &str) -> Option<u64> {
    let mut bytes = [0; STATUS_MAX_BYTES];
    let text = beginning(status, &mut bytes)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// The beginning of an open file, read again from its start.
pub(super) fn beginning<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a str> {
    let read = file.read_at(buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..read)?).ok()
}

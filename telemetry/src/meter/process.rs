//! What the kernel says about this process. Absent where it says nothing.

use std::fs::read_to_string;

/// Bytes that the process has read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Io {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// From `/proc/self/io`.
pub(super) fn io() -> Option<Io> {
    let text = read_to_string("/proc/self/io").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some(Io { read_bytes: field("rchar:")?, written_bytes: field("wchar:")? })
}

/// Memory that the process holds, and the most that it ever held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) resident_bytes: u64,
    pub(super) peak_bytes: u64,
}

/// From `/proc/self/status`, which says it in kibibytes whatever a page is.
pub(super) fn memory() -> Option<Memory> {
    let text = read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes.saturating_mul(1024))
    };
    Some(Memory { resident_bytes: field("VmRSS:")?, peak_bytes: field("VmHWM:")? })
}

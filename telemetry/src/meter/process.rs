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

/// Resident memory, from `/proc/self/status`, which says it in kibibytes whatever a page is.
pub(super) fn resident_bytes() -> Option<u64> {
    let text = read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

//! Memory, CPU and pressure of a control group, version 2 or 1.
//!
//! A container sees its own control group at `/sys/fs/cgroup` and not the pod's above it, so by
//! default these are the numbers of the sidecar's own container.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nightshift_telemetry::exposition::Page;
use nightshift_telemetry::metrics::Metric;
use nightshift_telemetry::metrics::sidecar as metrics;
use serde::Serialize;

/// No file that is read here is longer, in bytes.
const FILE_MAX_BYTES: u64 = 16 * 1024;
/// Version 1 says "no limit" by a number near the largest.
const NO_LIMIT: f64 = (1_u64 << 62) as f64;

/// A folder of a control group.
#[derive(Debug, Clone)]
pub struct Cgroup {
    root: PathBuf,
}

/// Whose control group is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The sidecar's own container's: says nothing of the worker.
    Container,
    /// One that somebody named: the pod's.
    Pod,
}

/// What a control group says of itself; what it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Memory in use, in bytes.
    pub memory_current: Option<f64>,
    /// Of these, files that the kernel gives up when it needs the memory, in bytes.
    pub memory_droppable: Option<f64>,
    /// The most memory that it may use, in bytes; absent where there is no limit.
    pub memory_limit: Option<f64>,
    /// The most memory that it has used, in bytes.
    pub memory_peak: Option<f64>,
    /// Times that it was at its limit and nothing could be freed.
    pub oom_events: Option<f64>,
    /// Processes killed for memory.
    pub oom_kills: Option<f64>,
    /// CPU time, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Periods in which it might have been held back.
    pub cpu_periods: Option<f64>,
    /// Periods in which it was.
    pub cpu_throttled_periods: Option<f64>,
    /// Time for which it was held back, in seconds.
    pub cpu_throttled_seconds: Option<f64>,
    /// Seconds in which something waited, by resource and kind (`some` or `full`).
    pub pressure: Vec<(&'static str, &'static str, f64)>,
}

impl Usage {
    /// Memory in use that nobody gives up for the asking, in bytes.
    pub fn memory_used(&self) -> Option<f64> {
        let droppable = self.memory_droppable.unwrap_or_default();
        self.memory_current.map(|current| (current - droppable).max(0.0))
    }
}

impl Cgroup {
    /// The group whose files lie in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads it. What cannot be read is absent: metrics must not fail because of it.
    pub fn read(&self) -> Usage {
        let root = self.root.as_path();
        if root.join("memory").is_dir() || root.join("cpuacct").is_dir() {
            version_1(root)
        } else {
            version_2(root)
        }
    }

    /// Writes what it says.
    pub fn write(&self, page: &mut Page) {
        let usage = self.read();
        let mut put = |metric: &Metric, value: Option<f64>| {
            if let Some(value) = value {
                page.single(metric, value);
            }
        };
        put(&metrics::MEMORY_CURRENT, usage.memory_current);
        put(&metrics::MEMORY_LIMIT, usage.memory_limit);
        put(&metrics::MEMORY_PEAK, usage.memory_peak);
        put(&metrics::OOM_EVENTS, usage.oom_events);
        put(&metrics::OOM_KILLS, usage.oom_kills);
        put(&metrics::CPU_USAGE, usage.cpu_seconds);
        put(&metrics::CPU_PERIODS, usage.cpu_periods);
        put(&metrics::CPU_THROTTLED_PERIODS, usage.cpu_throttled_periods);
        put(&metrics::CPU_THROTTLED, usage.cpu_throttled_seconds);
        if !usage.pressure.is_empty() {
            page.metric(&metrics::PRESSURE_STALLED);
            for (resource, kind, seconds) in usage.pressure {
                page.own(&[("kind", kind), ("resource", resource)], seconds);
            }
        }
    }
}

fn version_2(root: &Path) -> Usage {
    let events = text(root, "memory.events");
    let cpu = text(root, "cpu.stat");
    let seconds = |key| field(&cpu, key).map(|us| us / 1e6);
    let (limit, high) = (number(root, "memory.max"), number(root, "memory.high"));
    Usage {
        memory_current: number(root, "memory.current"),
        memory_droppable: droppable(&text(root, "memory.stat"), "", "file_"),
        memory_limit: limit.into_iter().chain(high).reduce(f64::min),
        memory_peak: number(root, "memory.peak"),
        oom_events: field(&events, "oom"),
        oom_kills: field(&events, "oom_kill"),
        cpu_seconds: seconds("usage_usec"),
        cpu_periods: field(&cpu, "nr_periods"),
        cpu_throttled_periods: field(&cpu, "nr_throttled"),
        cpu_throttled_seconds: seconds("throttled_usec"),
        pressure: pressure(root),
    }
}

fn version_1(root: &Path) -> Usage {
    let cpu = text(root, "cpu/cpu.stat");
    let limit = number(root, "memory/memory.limit_in_bytes");
    Usage {
        memory_current: number(root, "memory/memory.usage_in_bytes"),
        memory_droppable: droppable(&text(root, "memory/memory.stat"), "total_", "total_"),
        memory_limit: limit.filter(|limit| *limit < NO_LIMIT),
        memory_peak: number(root, "memory/memory.max_usage_in_bytes"),
        oom_events: None,
        oom_kills: field(&text(root, "memory/memory.oom_control"), "oom_kill"),
        cpu_seconds: number(root, "cpuacct/cpuacct.usage").map(|ns| ns / 1e9),
        cpu_periods: field(&cpu, "nr_periods"),
        cpu_throttled_periods: field(&cpu, "nr_throttled"),
        cpu_throttled_seconds: field(&cpu, "throttled_time").map(|ns| ns / 1e9),
        pressure: Vec::new(),
    }
}

/// Files in memory that are not being written, of the text of `memory.stat`, whose names begin in
/// one way for files and in another for what is to be written.
fn droppable(stat: &str, files: &str, writes: &str) -> Option<f64> {
    let of = |prefix: &str, key: &str| field(stat, &format!("{prefix}{key}"));
    let clean = of(files, "inactive_file")? + of(files, "active_file").unwrap_or_default();
    let unwritten = of(writes, "dirty").unwrap_or_default();
    Some((clean - unwritten - of(writes, "writeback").unwrap_or_default()).max(0.0))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, in microseconds, a line a kind.
fn pressure(root: &Path) -> Vec<(&'static str, &'static str, f64)> {
    let mut found = Vec::new();
    for resource in ["cpu", "io", "memory"] {
        let text = text(root, &format!("{resource}.pressure"));
        for kind in ["full", "some"] {
            let line = text.lines().find_map(|line| line.strip_prefix(kind));
            let total = line.and_then(|line| line.split_once(" total="));
            if let Some(us) = total.and_then(|(_, total)| finite(total)) {
                found.push((resource, kind, us / 1e6));
            }
        }
    }
    found
}

/// The beginning of a file; empty if it cannot be read.
fn text(root: &Path, name: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(root.join(name)) {
        // Half a file says less than it could, never something wrong: lines are whole or ignored.
        let _ = file.take(FILE_MAX_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The number that is all of a file; none for `max`.
fn number(root: &Path, name: &str) -> Option<f64> {
    finite(&text(root, name))
}

/// The number behind `key` in a file of `key number` lines.
fn field(text: &str, key: &str) -> Option<f64> {
    let value = |line: &str| finite(line.strip_prefix(key)?.strip_prefix(' ')?);
    text.lines().find_map(value)
}

/// A whole number; nothing else stands in these files.
fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<u64>().ok().map(|number| number as f64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn version_2_is_read() {
        let cpu = "usage_usec 2500000\nuser_usec 1\nnr_periods 10\nnr_throttled 3\nthrottled_usec 500000\n";
        let line = "avg10=0.00 avg60=0.00 avg300=0.00 total=";
        let folder = folder(&[
            ("memory.current", "1048576\n"),
            ("memory.max", "max\n"),
            ("memory.high", "1500000\n"),
            ("memory.stat", "inactive_file 200000\nactive_file 100000\nfile_dirty 100000\n"),
            ("memory.peak", "2097152\n"),
            ("memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n"),
            ("cpu.stat", cpu),
            ("memory.pressure", &format!("some {line}1500000\nfull {line}250000\n")),
        ]);
        let usage = Cgroup::new(folder.path()).read();
        let pressure = vec![("memory", "full", 0.25), ("memory", "some", 1.5)];
        let expected = Usage {
            memory_current: Some(1_048_576.0),
            memory_droppable: Some(200_000.0),
            memory_limit: Some(1_500_000.0),
            memory_peak: Some(2_097_152.0),
            oom_events: Some(2.0),
            oom_kills: Some(1.0),
            cpu_seconds: Some(2.5),
            cpu_periods: Some(10.0),
            cpu_throttled_periods: Some(3.0),
            cpu_throttled_seconds: Some(0.5),
            pressure,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn version_1_is_read() {
        let folder = folder(&[
            ("memory/memory.usage_in_bytes", "4096\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.max_usage_in_bytes", "8192\n"),
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
            ("cpuacct/cpuacct.usage", "1500000000\n"),
            ("cpu/cpu.stat", "nr_periods 5\nnr_throttled 1\nthrottled_time 250000000\n"),
        ]);
        let usage = Cgroup::new(folder.path()).read();
        let expected = Usage {
            memory_current: Some(4096.0),
            memory_peak: Some(8192.0),
            oom_kills: Some(4.0),
            cpu_seconds: Some(1.5),
            cpu_periods: Some(5.0),
            cpu_throttled_periods: Some(1.0),
            cpu_throttled_seconds: Some(0.25),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn what_is_missing_or_nonsense_is_absent() {
        let folder = folder(&[("memory.current", "-1\n"), ("cpu.stat", "usage_usec NaN\nusage")]);
        assert_eq!(Cgroup::new(folder.path()).read(), Usage::default());
        assert_eq!(Cgroup::new("/does/not/exist").read(), Usage::default());
    }
}

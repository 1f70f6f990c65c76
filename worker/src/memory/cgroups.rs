//! The control groups that a process is in, version 2 or 1, up to the root that it can see.
//!
//! A limit of any of them holds. In a container the way up usually ends at its own group: that is
//! all the kernel shows it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nightshift_core::memory::Room;

use super::bounds::beginning;

/// Most groups on the way up; deeper trees than this are of no container engine.
const LEVELS_MAX: usize = 32;

/// Longest `memory.stat`, in bytes; it has some 60 short lines.
const STAT_MAX_BYTES: usize = 16 << 10;

/// Version 1 says "no limit" by a number near the largest.
const NO_LIMIT: u64 = 1 << 62;

/// Share of a limit in use, in percent, above which it is worth asking how much of that is files
/// that the kernel would drop: the answer costs it more than the other numbers.
const ASK_PERCENT: u64 = 50;

/// A control group with its files held open.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    /// Each may have a limit; the smallest holds.
    limits: Vec<File>,
    current: File,
    stat: Option<File>,
}

/// Names of the files of a version.
struct Names {
    limits: &'static [&'static str],
    current: &'static str,
}

const VERSION_2: Names =
    Names { limits: &["memory.max", "memory.high"], current: "memory.current" };
const VERSION_1: Names =
    Names { limits: &["memory.limit_in_bytes"], current: "memory.usage_in_bytes" };

/// The groups of this process that limit it now.
pub fn of_this_process() -> Vec<Group> {
    let said = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    of(&said, Path::new("/sys/fs/cgroup"))
}

/// The groups that `said`, in the form of `/proc/self/cgroup`, names below `mount`, if they have
/// a limit.
pub fn of(said: &str, mount: &Path) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in said.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if controllers.is_empty() {
            for root in [mount.to_path_buf(), mount.join("unified")] {
                climb(&root, path, &VERSION_2, &mut groups);
            }
        } else if controllers.split(',').any(|controller| controller == "memory") {
            climb(&mount.join("memory"), path, &VERSION_1, &mut groups);
        }
    }
    groups
}

/// From the group at `path` below `root` up to `root` itself. Where a container sees its own group
/// as the root, `path` may name what only its node has: then the root is all there is.
fn climb(root: &Path, path: &str, names: &Names, groups: &mut Vec<Group>) {
    let inner = Path::new(path.trim_start_matches('/'));
    let inside = inner.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let start = root.join(inner);
    let start = if inside && start.is_dir() { start } else { root.to_path_buf() };
    for folder in start.ancestors().take(LEVELS_MAX) {
        let group = Group::open(folder, names).filter(|group| group.limit().is_some());
        groups.extend(group);
        if folder == root {
            break;
        }
    }
}

impl Group {
    fn open(folder: &Path, names: &Names) -> Option<Self> {
        let open = |name: &&str| File::open(folder.join(name)).ok();
        Some(Self {
            folder: folder.to_path_buf(),
            limits: names.limits.iter().filter_map(open).collect(),
            current: open(&names.current)?,
            stat: open(&"memory.stat"),
        })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The limit as it is now: pods are resized while they run.
    fn limit(&self) -> Option<u64> {
        self.limits.iter().filter_map(number).filter(|limit| *limit < NO_LIMIT).min()
    }

    /// Limit and use at this moment.
    pub fn room(&self) -> Option<Room> {
        let limit_bytes = self.limit()?;
        let current = number(&self.current)?;
        let is_far = current < limit_bytes / 100 * ASK_PERCENT;
        let droppable = if is_far { 0 } else { self.droppable() };
        let used_bytes = current.saturating_sub(droppable);
        Some(Room { limit_bytes, used_bytes })
    }

    /// Bytes of files in memory that the kernel gives up when it needs them: clean ones. What lies
    /// in a `tmpfs` is not among them.
    fn droppable(&self) -> u64 {
        let mut bytes = vec![0; STAT_MAX_BYTES];
        let stat = self.stat.as_ref().and_then(|stat| beginning(stat, &mut bytes));
        stat.map_or(0, droppable)
    }
}

/// As [`Group::droppable`], of the text of `memory.stat`.
fn droppable(stat: &str) -> u64 {
    // Version 1 counts the groups below only in `total_…`; version 2 has no such lines.
    let field = |names: [&str; 2]| {
        names.iter().find_map(|name| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
            stat.lines().find_map(value)
        })
    };
    let of = |names| field(names).unwrap_or(0_u64);
    let files = of(["total_inactive_file", "inactive_file"])
        .saturating_add(of(["total_active_file", "active_file"]));
    let unwritten =
        of(["total_dirty", "file_dirty"]).saturating_add(of(["total_writeback", "file_writeback"]));
    files.saturating_sub(unwritten)
}

/// The number that is all of a file; none for `max`.
fn number(file: &File) -> Option<u64> {
    let mut line = [0; 64];
    beginning(file, &mut line)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn tree(files: &[(&str, String)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    fn said(groups: &[Group], tree: &Path) -> Vec<(String, u64, u64)> {
        let one = |group: &Group| {
            let room = group.room().unwrap();
            let folder = group.folder().strip_prefix(tree).unwrap().display().to_string();
            (folder, room.limit_bytes / MIB, room.used_bytes / MIB)
        };
        groups.iter().map(one).collect()
    }

    #[test]
    fn every_level_of_version_2_with_a_limit_counts() {
        let stat = format!(
            "anon {}\nfile {}\nshmem 0\nfile_dirty {}\nfile_writeback 0\ninactive_file {}\nactive_file {}\n",
            50 * MIB,
            40 * MIB,
            5 * MIB,
            20 * MIB,
            20 * MIB
        );
        let tree = tree(&[
            ("pod/memory.max", format!("{}\n", 200 * MIB)),
            ("pod/memory.high", format!("{}\n", 150 * MIB)),
            ("pod/memory.current", format!("{}\n", 60 * MIB)),
            ("pod/worker/memory.max", format!("{}\n", 100 * MIB)),
            ("pod/worker/memory.high", "max\n".to_owned()),
            ("pod/worker/memory.current", format!("{}\n", 90 * MIB)),
            ("pod/worker/memory.stat", stat),
            ("pod/worker/inner/memory.max", "max\n".to_owned()),
            ("pod/worker/inner/memory.current", format!("{}\n", 90 * MIB)),
        ]);
        let groups = of("0::/pod/worker/inner\n", tree.path());
        // 90 MiB less 40 MiB of files, 5 of which have to be written first; and, in the pod, less
        // than half of the limit, where nobody looks closer.
        let expected = [("pod/worker".to_owned(), 100, 55), ("pod".to_owned(), 150, 60)];
        assert_eq!(said(&groups, tree.path()), expected);
        // A limit that is lifted while it runs counts no more.
        fs::write(tree.path().join("pod/worker/memory.max"), "max\n").unwrap();
        assert_eq!(groups[0].room(), None);
    }

    #[test]
    fn version_1_is_read() {
        let stat = format!("inactive_file 1\ntotal_inactive_file {}\ntotal_dirty 0\n", 10 * MIB);
        let tree = tree(&[
            ("memory/docker/a/memory.limit_in_bytes", format!("{}\n", 64 * MIB)),
            ("memory/docker/a/memory.usage_in_bytes", format!("{}\n", 60 * MIB)),
            ("memory/docker/a/memory.stat", stat),
            ("memory/docker/memory.limit_in_bytes", "9223372036854771712\n".to_owned()),
            ("memory/docker/memory.usage_in_bytes", format!("{}\n", 60 * MIB)),
        ]);
        let groups = of("5:cpu,cpuacct:/x\n4:memory:/docker/a\n", tree.path());
        assert_eq!(said(&groups, tree.path()), [("memory/docker/a".to_owned(), 64, 50)]);
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_root_finds_it() {
        let tree = tree(&[
            ("memory.max", format!("{}\n", 64 * MIB)),
            ("memory.current", format!("{}\n", MIB)),
        ]);
        for path in ["/", "/kubepods/pod1/abc", "/../../above", ""] {
            let groups = of(&format!("0::{path}\n"), tree.path());
            assert_eq!(said(&groups, tree.path()), [(String::new(), 64, 1)], "{path}");
        }
    }

    #[test]
    fn what_is_missing_or_nonsense_limits_nothing() {
        let tree = tree(&[
            ("a/memory.max", "12 MiB\n".to_owned()),
            ("a/memory.current", "0\n".to_owned()),
            ("b/memory.max", "1048576\n".to_owned()),
        ]);
        for text in ["0::/a\n", "0::/b\n", "0::/none\n", "", "nonsense", "::\n0:\n"] {
            assert!(of(text, tree.path()).is_empty(), "{text}");
        }
    }
}

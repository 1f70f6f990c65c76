//! Making files and directory entries durable, with as few system calls as honesty allows.
//!
//! A file that survives a power failure needs its bytes synced, and then the entry in every
//! directory above it that was new. Many shards are sealed at once into the same directories,
//! so requests for one directory share a sync: a sync serves exactly those requests that were
//! made before it began. How often, and for how long, is counted.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Directories whose own entry is remembered as durable. Only shared directories are
/// remembered, a few for each run; a process that passes this many forgets them all and syncs
/// each once more.
const REMEMBERED_MAX: usize = 4096;

/// Whether data is made durable before it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Files and directories are synced before a record names them, and records before they
    /// are acknowledged.
    #[default]
    Full,
    /// Nothing is synced: a power failure may lose acknowledged work. For benchmarks that show
    /// the cost of durability apart; whoever uses it must say so in the report.
    None,
}

/// What syncing has cost so far in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncCounters {
    /// Files synced.
    pub files: u64,
    /// Time inside file syncs, summed over threads.
    pub files_time: Duration,
    /// Directory syncs that were asked for.
    pub directory_requests: u64,
    /// Directory syncs that were made; fewer than asked for when requests share one.
    pub directories: u64,
    /// Time inside directory syncs, summed over threads.
    pub directories_time: Duration,
}

#[derive(Debug, Default)]
struct Tally {
    files: AtomicU64,
    files_nanos: AtomicU64,
    directory_requests: AtomicU64,
    directories: AtomicU64,
    directories_nanos: AtomicU64,
}

/// A failure that several waiting requests share.
#[derive(Debug, Clone)]
struct Shared {
    code: Option<i32>,
    kind: io::ErrorKind,
    message: String,
}

type Waiting = Vec<oneshot::Sender<Result<(), Shared>>>;

/// Syncs files and directories under one root.
#[derive(Debug)]
pub(crate) struct Syncer {
    root: PathBuf,
    durability: Durability,
    tally: Tally,
    /// Requests by directory; an entry exists while a blocking task serves the directory.
    queues: Mutex<HashMap<PathBuf, Waiting>>,
    /// Directories below the root whose own entry is known to be durable.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Syncer {
    pub(crate) fn new(root: PathBuf, durability: Durability) -> Arc<Self> {
        Arc::new(Self {
            root,
            durability,
            tally: Tally::default(),
            queues: Mutex::default(),
            durable: Mutex::default(),
        })
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    pub(crate) fn counters(&self) -> SyncCounters {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SyncCounters {
            files: get(&self.tally.files),
            files_time: Duration::from_nanos(get(&self.tally.files_nanos)),
            directory_requests: get(&self.tally.directory_requests),
            directories: get(&self.tally.directories),
            directories_time: Duration::from_nanos(get(&self.tally.directories_nanos)),
        }
    }

    /// Makes the bytes of a file durable. Blocks.
    pub(crate) fn sync_file(&self, file: &File) -> io::Result<()> {
        if self.durability == Durability::None {
            return Ok(());
        }
        let start = Instant::now();
        let result = file.sync_all();
        count(&self.tally.files, &self.tally.files_nanos, start);
        result
    }

    /// Makes the entries of a directory that nobody else writes to durable. Blocks.
    pub(crate) fn sync_own_directory(&self, directory: &Path) -> io::Result<()> {
        if self.durability == Durability::None {
            return Ok(());
        }
        self.tally.directory_requests.fetch_add(1, Ordering::Relaxed);
        self.sync_directory_now(directory)
    }

    /// Makes the entries of a shared directory durable, and the entries that lead to it from
    /// the root. The sync begins after this call.
    pub(crate) async fn sync_entries(self: &Arc<Self>, directory: &Path) -> io::Result<()> {
        if self.durability == Durability::None {
            return Ok(());
        }
        self.sync_shared(directory).await?;
        let mut chain = Vec::new();
        let mut child = directory;
        while child != self.root && !lock(&self.durable).contains(child) {
            let Some(parent) = child.parent() else { break };
            self.sync_shared(parent).await?;
            chain.push(child.to_path_buf());
            child = parent;
        }
        if !chain.is_empty() {
            self.remember(chain);
        }
        Ok(())
    }

    /// Remembers directories whose entries, all the way up to the root, are durable. A whole
    /// chain at once: whoever finds one of them remembered looks no further up.
    fn remember(&self, chain: Vec<PathBuf>) {
        let mut durable = lock(&self.durable);
        if durable.len() + chain.len() > REMEMBERED_MAX {
            durable.clear();
        }
        durable.extend(chain);
    }
    async fn sync_shared(self: &Arc<Self>, directory: &Path) -> io::Result<()> {
        match self.request(directory).await {
            Ok(result) => result.map_err(Shared::into_io),
            Err(_) => Err(io::Error::other("the runtime ended before the directory was synced")),
        }
    }

    /// Joins the queue of a directory, and sees to it that the queue is served.
    fn request(self: &Arc<Self>, directory: &Path) -> oneshot::Receiver<Result<(), Shared>> {
        self.tally.directory_requests.fetch_add(1, Ordering::Relaxed);
        let (done, wait) = oneshot::channel();
        let mut queues = lock(&self.queues);
        if let Some(waiting) = queues.get_mut(directory) {
            waiting.push(done);
            return wait;
        }
        queues.insert(directory.to_path_buf(), vec![done]);
        // A blocking task runs to its end even when the request that started it is dropped, so
        // nobody who joins the queue is left waiting.
        let (syncer, directory) = (Arc::clone(self), directory.to_path_buf());
        tokio::task::spawn_blocking(move || syncer.serve(&directory));
        wait
    }

    /// Serves the requests for one directory until there are none.
    fn serve(&self, directory: &Path) {
        loop {
            let mut queues = lock(&self.queues);
            let waiting = match queues.get_mut(directory) {
                Some(waiting) if !waiting.is_empty() => std::mem::take(waiting),
                _ => {
                    queues.remove(directory);
                    return;
                }
            };
            drop(queues);
            let result = self.sync_directory_now(directory).map_err(Shared::from_io);
            for request in waiting {
                // A request that was dropped meanwhile no longer needs the answer.
                let _ = request.send(result.clone());
            }
        }
    }

    fn sync_directory_now(&self, directory: &Path) -> io::Result<()> {
        let start = Instant::now();
        let result = File::open(directory).and_then(|directory| directory.sync_all());
        count(&self.tally.directories, &self.tally.directories_nanos, start);
        match result {
            // Some file systems have no sync of directories and say so; there is then nothing
            // that could be done better.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }
}

/// Makes a directory and what is missing above it, and makes the new entries durable. Blocks.
pub(crate) fn create_directories(directory: &Path, durability: Durability) -> io::Result<()> {
    let mut existing = directory;
    while !existing.exists() {
        let Some(parent) = existing.parent() else { break };
        existing = parent;
    }
    std::fs::create_dir_all(directory)?;
    if durability == Durability::None {
        return Ok(());
    }
    let mut child = directory;
    while child != existing {
        let Some(parent) = child.parent() else { break };
        File::open(parent)?.sync_all()?;
        child = parent;
    }
    Ok(())
}

fn count(times: &AtomicU64, nanos: &AtomicU64, start: Instant) {
    times.fetch_add(1, Ordering::Relaxed);
    let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    nanos.fetch_add(elapsed, Ordering::Relaxed);
}

/// A poisoned lock means that a thread panicked between two single operations on a map, which
/// leaves the map whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn from_io(error: io::Error) -> Self {
        Self { code: error.raw_os_error(), kind: error.kind(), message: error.to_string() }
    }

    fn into_io(self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.message),
        }
    }
}

#[cfg(test)]
mod tests;

//! Small files, read a few at a time by one thread.
//!
//! A read may block, so it is handed to a thread that may. On a busy processor the two switches
//! between threads cost more than the read of a record that is in memory already. So the first
//! caller lets others run that are ready, and then a reader takes what has gathered: under load
//! one switch serves many reads. Where reads are slow, as on a network volume, each waiting read
//! gets a reader of its own, up to [`READERS_MAX`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Largest file that is read in one piece here: a record fits.
const SMALL_MAX_BYTES: u64 = 64 << 10;
/// Most threads that read at the same time: enough to hide the latency of a network volume, few
/// enough to stay far below the blocking threads of the runtime.
const READERS_MAX: usize = 32;
/// Reads that one reader takes at a time. What it has taken no other reader can take.
const TAKEN_AT_ONCE: usize = 16;
/// A read that takes longer waits for a device: others must not wait behind it.
const SLOW: Duration = Duration::from_micros(500);

/// A small file that was read.
#[derive(Debug)]
pub(super) struct SmallFile {
    pub(super) bytes: Bytes,
    pub(super) modified: SystemTime,
}

/// Reads of one volume. Cheap to share behind an `Arc`.
#[derive(Debug, Default)]
pub(super) struct SmallReads {
    waiting: Mutex<Waiting>,
    /// Whether the last reads were slow.
    slow: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    /// One for each caller that waits, so as many as there are calls under way.
    jobs: VecDeque<Job>,
    readers: usize,
    /// Whether a caller is about to start readers.
    gathering: bool,
}

#[derive(Debug)]
struct Job {
    path: PathBuf,
    reply: oneshot::Sender<io::Result<Option<SmallFile>>>,
}

/// The duty to start readers for what has gathered. It is done when this is dropped, so that
/// nobody waits in vain for a caller that went away.
struct Gathering<'a> {
    reads: &'a Arc<SmallReads>,
    runtime: Handle,
}

impl SmallReads {
    /// Reads the file at `path`; none if it is not a plain file of at most
    /// [`SMALL_MAX_BYTES`].
    pub(super) async fn read(self: &Arc<Self>, path: PathBuf) -> io::Result<Option<SmallFile>> {
        let (reply, answer) = oneshot::channel();
        if let Some(gathering) = self.enqueue(Job { path, reply }) {
            tokio::task::yield_now().await;
            drop(gathering);
        }
        // A reader that is gone without a word is a runtime that ends.
        answer.await.unwrap_or_else(|_| Err(io::Error::other("nobody reads any more")))
    }

    /// Adds a read; who is told to gather sees to it that it is served.
    fn enqueue(self: &Arc<Self>, job: Job) -> Option<Gathering<'_>> {
        let mut waiting = self.lock();
        waiting.jobs.push_back(job);
        if waiting.gathering || self.missing(&waiting) == 0 {
            return None;
        }
        waiting.gathering = true;
        Some(Gathering { reads: self, runtime: Handle::current() })
    }

    /// How many more readers are wanted for what waits.
    fn missing(&self, waiting: &Waiting) -> usize {
        let each = if self.slow.load(Ordering::Relaxed) { 1 } else { TAKEN_AT_ONCE };
        let wanted = waiting.jobs.len().div_ceil(each).min(READERS_MAX);
        wanted.saturating_sub(waiting.readers)
    }

    /// Reads until nothing waits.
    fn serve(&self) {
        loop {
            let jobs: Vec<Job> = {
                let mut waiting = self.lock();
                let slow = self.slow.load(Ordering::Relaxed);
                let most = if slow { 1 } else { TAKEN_AT_ONCE };
                let count = most.min(waiting.jobs.len());
                if count == 0 {
                    // Under the lock: whoever waits from now on starts another reader.
                    waiting.readers -= 1;
                    return;
                }
                waiting.jobs.drain(..count).collect()
            };
            let begun = Instant::now();
            let mut count = 0;
            for Job { path, reply } in jobs {
                // Who does not wait any more needs no answer.
                let _ = reply.send(read_small(&path));
                count += 1;
            }
            self.slow.store(begun.elapsed() > SLOW * count, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        let missing = {
            let mut waiting = self.reads.lock();
            waiting.gathering = false;
            let missing = self.reads.missing(&waiting);
            waiting.readers += missing;
            missing
        };
        for _ in 0..missing {
            let reads = Arc::clone(self.reads);
            // It ends when nothing waits, and its jobs say how they went.
            drop(self.runtime.spawn_blocking(move || reads.serve()));
        }
    }
}

/// Reads a small plain file. Blocks.
fn read_small(path: &Path) -> io::Result<Option<SmallFile>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > SMALL_MAX_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    // One more than there may be, to see that the file has not grown.
    (&file).take(SMALL_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != metadata.len() {
        return Ok(None);
    }
    Ok(Some(SmallFile { bytes: bytes.into(), modified: metadata.modified()? }))
}

#[cfg(test)]
mod tests;

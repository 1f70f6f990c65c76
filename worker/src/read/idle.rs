//! Decoders between two slices.
//!
//! Shards are handed out in order, so the decoder that has just finished one slice stands where
//! the next one begins. A slice that is opened while its predecessor is still being decoded waits
//! for that decoder: decoding the rest of a small slice takes less time than starting afresh,
//! which decompresses a page per column or a text file from its start.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nightshift_core::plan::Slice;

use super::cursor::Cursor;
use super::files::OpenFile;

/// Most decoders kept. More threads than this at one time only means that some start afresh.
const IDLE_MAX: usize = 16;

/// Decoders that have finished a slice, and those that are about to.
#[derive(Debug, Default)]
pub(super) struct Idle {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Standing at the end of a slice, the most recent one last.
    cursors: Vec<Cursor>,
    /// File and end of the slices whose last batch is being decoded at this moment.
    finishing: Vec<(Arc<OpenFile>, u64)>,
}

impl Idle {
    /// The decoder of `file` that stands closest before the start of `slice`, if going on from
    /// there costs less than starting afresh.
    pub(super) fn take(&self, file: &Arc<OpenFile>, slice: &Slice) -> Option<Cursor> {
        let mut state = self.lock();
        loop {
            let usable = state.cursors.iter().enumerate();
            let usable = usable.filter(|(_, cursor)| cursor.suits(file, slice));
            let best = usable.max_by_key(|(_, cursor)| cursor.position());
            let best = best.map(|(at, cursor)| (at, cursor.position() == slice.start));
            if let Some((at, true)) = best {
                return Some(state.cursors.remove(at));
            }
            // Whoever is finishing decodes and nothing else, so this wait is short and ends.
            let arriving =
                |(of, end): &(Arc<OpenFile>, u64)| *end == slice.start && Arc::ptr_eq(of, file);
            if !state.finishing.iter().any(arriving) {
                return best.map(|(at, _)| state.cursors.remove(at));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Announces that the rest of a slice that ends at row `end` is being decoded now.
    pub(super) fn finishing<'a>(&'a self, file: &Arc<OpenFile>, end: u64) -> Finishing<'a> {
        self.lock().finishing.push((Arc::clone(file), end));
        Finishing { idle: self, file: Arc::clone(file), end }
    }

    /// Keeps `cursor` for a later slice, or drops it if it has nothing more to give.
    pub(super) fn put(&self, cursor: Cursor) {
        if !cursor.is_worth_keeping() {
            return;
        }
        let mut state = self.lock();
        if state.cursors.len() >= IDLE_MAX {
            state.cursors.remove(0);
        }
        state.cursors.push(cursor);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for a decoder that is about to finish; whatever comes of it, those who wait go on when
/// this is dropped.
pub(super) struct Finishing<'a> {
    idle: &'a Idle,
    file: Arc<OpenFile>,
    end: u64,
}

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        let mut state = self.idle.lock();
        let mine =
            |(of, end): &(Arc<OpenFile>, u64)| *end == self.end && Arc::ptr_eq(of, &self.file);
        if let Some(at) = state.finishing.iter().position(mine) {
            state.finishing.swap_remove(at);
        }
        drop(state);
        self.idle.changed.notify_all();
    }
}
